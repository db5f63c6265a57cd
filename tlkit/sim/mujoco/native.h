// MuJoCo's functions, called through a library that was opened by its path. Each of them that can
// fail writes why into error, and returns 0 then; none ends the process.

#ifndef TLKIT_MUJOCO_NATIVE_H
#define TLKIT_MUJOCO_NATIVE_H

#include <stddef.h>

typedef struct {
  char text[1024];  // "" = nothing went wrong
} tlkit_mj_error;

// Opens the library if mj_version says what is wanted; got is what it says, 0 = nothing.
int tlkit_mj_open(const char* path, int want, int* got, tlkit_mj_error* error);

// A file of a model, by the last part of its name.
typedef struct {
  const char* name;
  const void* content;
  int size;
} tlkit_mj_file;

void* tlkit_mj_load(const char* name, const tlkit_mj_file* files, int n, tlkit_mj_error* error);
void* tlkit_mj_data(const void* model, tlkit_mj_error* error);
void tlkit_mj_free_model(void* model);
void tlkit_mj_free_data(void* data);
int tlkit_mj_step(const void* model, void* data, int n, tlkit_mj_error* error);
int tlkit_mj_forward(const void* model, void* data, tlkit_mj_error* error);
int tlkit_mj_reset(const void* model, void* data, tlkit_mj_error* error);
int tlkit_mj_find(const void* model, int kind, const char* name);
const char* tlkit_mj_name(const void* model, int kind, int id);

#endif
