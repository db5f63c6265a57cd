//go:build cgo && unix

#include "hook.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

static const tlkit_api* reals[TLKIT_SLOTS];

// A PJRT function gets only its arguments, not the table it was called through:
// one small function for each plugin tells them apart.
static tlkit_opaque* compile0(tlkit_compile_args* a) { return tlkitCompile(0, a); }
static tlkit_opaque* compile1(tlkit_compile_args* a) { return tlkitCompile(1, a); }
static tlkit_opaque* compile2(tlkit_compile_args* a) { return tlkitCompile(2, a); }
static tlkit_opaque* compile3(tlkit_compile_args* a) { return tlkitCompile(3, a); }
static tlkit_opaque* (*const compiles[TLKIT_SLOTS])(tlkit_compile_args*) = {compile0, compile1, compile2, compile3};

static char* last_error(const char* otherwise) {
  const char* e = dlerror();
  return strdup(e ? e : otherwise);
}

void* tlkit_open(const char* path, int global, char** error) {
  // NOW: a missing symbol fails here, not in the middle of a training.
  void* library = dlopen(path, RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (!library) *error = last_error("dlopen failed");
  return library;
}

const tlkit_api* tlkit_table(void* library, char** error) {
  const tlkit_api* (*get)(void) = (const tlkit_api* (*)(void))dlsym(library, "GetPjrtApi");
  if (!get) {
    *error = last_error("it exports no GetPjrtApi");
    return NULL;
  }
  const tlkit_api* api = get();
  if (!api) *error = strdup("its GetPjrtApi returned nothing");
  return api;
}

const tlkit_api* tlkit_hook(int slot, const tlkit_api* real, int* hooked) {
  size_t needed = offsetof(tlkit_api, fn) + (TLKIT_EXECUTABLE_DESERIALIZE + 1) * sizeof(tlkit_fn);
  *hooked = 0;
  if (slot < 0 || slot >= TLKIT_SLOTS || real->major != 0 || real->struct_size < needed ||
      !real->fn[TLKIT_CLIENT_COMPILE] || !real->fn[TLKIT_EXECUTABLE_SERIALIZE] || !real->fn[TLKIT_EXECUTABLE_DESERIALIZE])
    return real;
  tlkit_api* copy = malloc(real->struct_size);
  if (!copy) return real;
  memcpy(copy, real, real->struct_size);
  reals[slot] = real;
  copy->fn[TLKIT_CLIENT_COMPILE] = (tlkit_fn)compiles[slot];
  *hooked = 1;
  return copy;
}

#define CALL(slot, index, args) \
  (((tlkit_opaque * (*)(void*)) reals[slot]->fn[index])(args))

static int failed(int slot, tlkit_opaque* error) {
  if (!error) return 0;
  tlkit_error_destroy_args d = {.struct_size = sizeof d, .error = error};
  ((void (*)(void*))reals[slot]->fn[TLKIT_ERROR_DESTROY])(&d);
  return 1;
}

uintptr_t tlkit_thread(void) { return (uintptr_t)pthread_self(); }

tlkit_opaque* tlkit_real_compile(int slot, tlkit_compile_args* args) {
  return CALL(slot, TLKIT_CLIENT_COMPILE, args);
}

int tlkit_load(int slot, tlkit_compile_args* args, const char* bytes, size_t size) {
  tlkit_deserialize_args d = {.struct_size = sizeof d, .client = args->client, .bytes = bytes, .bytes_size = size};
  if (failed(slot, CALL(slot, TLKIT_EXECUTABLE_DESERIALIZE, &d))) return 0;
  args->loaded = d.loaded;
  return 1;
}

static void destroy_executable(int slot, tlkit_opaque* executable) {
  tlkit_executable_destroy_args d = {.struct_size = sizeof d, .executable = executable};
  failed(slot, CALL(slot, TLKIT_EXECUTABLE_DESTROY, &d));
}

int tlkit_serialize(int slot, tlkit_opaque* loaded, tlkit_serialize_args* out) {
  tlkit_get_executable_args g = {.struct_size = sizeof g, .loaded = loaded};
  if (failed(slot, CALL(slot, TLKIT_LOADED_GET_EXECUTABLE, &g))) return 0;
  memset(out, 0, sizeof *out);
  out->struct_size = sizeof *out;
  out->executable = g.executable;
  if (failed(slot, CALL(slot, TLKIT_EXECUTABLE_SERIALIZE, out))) {
    destroy_executable(slot, g.executable);
    return 0;
  }
  return 1;
}

void tlkit_serialize_free(int slot, tlkit_serialize_args* out) {
  if (out->release) out->release(out->owner);
  destroy_executable(slot, (tlkit_opaque*)out->executable);
}
