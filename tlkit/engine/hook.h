#ifndef TLKIT_HOOK_H
#define TLKIT_HOOK_H

#include <stdint.h>

#include "pjrt_excerpt.h"

// How many different plugins one process may open.
#define TLKIT_SLOTS 4

// Opens the library at path and returns its handle, or NULL and a message in
// *error that the caller frees. Global makes its symbols visible to libraries
// opened later.
void* tlkit_open(const char* path, int global, char** error);

// Asks an opened library for its API table and returns it, or NULL and a message.
const tlkit_api* tlkit_table(void* library, char** error);

// Returns a copy of the table whose Compile function goes through our cache, as
// plugin number slot; or the table itself when it is too old or of another major
// version, and then *hooked is 0.
const tlkit_api* tlkit_hook(int slot, const tlkit_api* real, int* hooked);

// Returns a number of the calling thread.
uintptr_t tlkit_thread(void);

// What the cache calls.
tlkit_opaque* tlkit_real_compile(int slot, tlkit_compile_args* args);
int tlkit_load(int slot, tlkit_compile_args* args, const char* bytes, size_t size);
int tlkit_serialize(int slot, tlkit_opaque* loaded, tlkit_serialize_args* out);
void tlkit_serialize_free(int slot, tlkit_serialize_args* out);

#endif
