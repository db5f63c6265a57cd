#ifndef TLKIT_MEMORY_H
#define TLKIT_MEMORY_H

#include <stddef.h>

// Makes an opened library keep the large blocks of memory that it frees, for its next call, and
// returns whether it does.
int tlkit_keep_memory(void* library);

// Gives the kept blocks back to the system. Those in use stay.
void tlkit_release_memory(void);

// The bytes of the large blocks: those in use, the kept ones, and all that the system ever gave.
struct tlkit_memory {
  size_t used, kept, given;
};
struct tlkit_memory tlkit_memory(void);

#endif
