// The part of the PJRT C API that the compile cache touches, in our own words:
// a header of fixed layout, then a table of function pointers that only grows at
// its end. TestExcerptAgreesWithPJRT compiles this beside the full header that
// go-xla carries and compares every size and offset.
#ifndef TLKIT_PJRT_EXCERPT_H
#define TLKIT_PJRT_EXCERPT_H

#include <stddef.h>

typedef struct tlkit_opaque tlkit_opaque;  // client, executable, error: never looked into

typedef void (*tlkit_fn)(void);

typedef struct {
  size_t struct_size;
  void* extensions;
  size_t version_struct_size;
  void* version_extensions;
  int major;
  int minor;
  tlkit_fn fn[];  // indexed by the slots below
} tlkit_api;

enum {
  TLKIT_ERROR_DESTROY = 0,
  TLKIT_CLIENT_COMPILE = 20,
  TLKIT_EXECUTABLE_DESTROY = 40,
  TLKIT_EXECUTABLE_SERIALIZE = 49,
  TLKIT_LOADED_GET_EXECUTABLE = 51,
  TLKIT_EXECUTABLE_DESERIALIZE = 56,
};

typedef struct {
  size_t struct_size;
  void* extensions;
  tlkit_opaque* error;
} tlkit_error_destroy_args;

typedef struct {
  size_t struct_size;
  void* extensions;
  char* code;
  size_t code_size;
  const char* format;
  size_t format_size;
} tlkit_program;

typedef struct {
  size_t struct_size;
  void* extensions;
  tlkit_opaque* client;
  const tlkit_program* program;
  const char* options;
  size_t options_size;
  tlkit_opaque* loaded;  // out
} tlkit_compile_args;

typedef struct {
  size_t struct_size;
  void* extensions;
  tlkit_opaque* loaded;
  tlkit_opaque* executable;  // out
} tlkit_get_executable_args;

typedef struct {
  size_t struct_size;
  void* extensions;
  tlkit_opaque* executable;
} tlkit_executable_destroy_args;

typedef struct {
  size_t struct_size;
  void* extensions;
  const tlkit_opaque* executable;
  const char* bytes;    // out
  size_t bytes_size;    // out
  tlkit_opaque* owner;  // out: keeps bytes alive
  void (*release)(tlkit_opaque* owner);  // out
} tlkit_serialize_args;

typedef struct {
  size_t struct_size;
  void* extensions;
  tlkit_opaque* client;
  const char* bytes;
  size_t bytes_size;
  tlkit_opaque* loaded;  // out
  const char* options;
  size_t options_size;
} tlkit_deserialize_args;

#endif
