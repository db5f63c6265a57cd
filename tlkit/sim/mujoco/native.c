//go:build cgo && unix

#include "native.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The types are opaque here: Go reads what it needs by its place, see layout.go.
typedef struct {
  void* content;
} mjvfs;

typedef struct {
  int (*version)(void);
  void (*default_vfs)(mjvfs*);
  int (*add)(mjvfs*, const char*, const void*, int);
  void (*delete_vfs)(mjvfs*);
  void* (*load)(const char*, const mjvfs*, char*, int);
  void* (*data)(const void*);
  void (*free_model)(void*);
  void (*free_data)(void*);
  void (*step)(const void*, void*);
  void (*forward)(const void*, void*);
  void (*reset)(const void*, void*);
  int (*find)(const void*, int, const char*);
  const char* (*name)(const void*, int, int);
} functions;

static functions mj;

// A call of MuJoCo on one thread. The library ends the process when something goes wrong, unless a
// function of ours takes the message; that function must not return, so it jumps back to the call.
typedef struct {
  jmp_buf back;
  int armed;
  tlkit_mj_error* error;
} call;

// By a key: Go's own linker, which notebook cells use, knows no variables of threads.
static pthread_key_t key;

static void say(tlkit_mj_error* e, const char* text) {
  if (e && !e->text[0]) snprintf(e->text, sizeof e->text, "%s", text);
}

static call* mine(void) {
  call* c = pthread_getspecific(key);
  if (!c) {
    c = calloc(1, sizeof *c);
    if (c && pthread_setspecific(key, c)) {
      free(c);
      c = NULL;
    }
  }
  return c;
}

static void on_error(const char* text) {
  call* c = pthread_getspecific(key);
  if (!c || !c->armed) {  // on a thread of the library's own: there is no way back
    fprintf(stderr, "mujoco: %s\n", text);
    abort();
  }
  say(c->error, text);
  c->armed = 0;
  longjmp(c->back, 1);
}

// Without a function of ours, warnings go to standard output and into a file MUJOCO_LOG.TXT.
static void on_warning(const char* text) {
  call* c = pthread_getspecific(key);
  if (c && c->armed) say(c->error, text);
}

// GUARD runs a statement; it returns otherwise from the function if MuJoCo gives up.
#define GUARD(out, otherwise, statement)       \
  call* c = mine();                            \
  if (!c) {                                    \
    say(out, "there is no memory left");       \
    return otherwise;                          \
  }                                            \
  c->error = out;                              \
  if (setjmp(c->back)) return otherwise;       \
  c->armed = 1;                                \
  statement;                                   \
  c->armed = 0;

int tlkit_mj_open(const char* path, int want, int* got, tlkit_mj_error* error) {
  // NOW: a missing symbol fails here, not in the middle of an episode.
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* e = dlerror();
    say(error, e ? e : "dlopen failed");
    return 0;
  }
  functions f;
  struct {
    const char* name;
    void* into;
  } wanted[] = {
      {"mj_version", &f.version},       {"mj_defaultVFS", &f.default_vfs}, {"mj_addBufferVFS", &f.add},
      {"mj_deleteVFS", &f.delete_vfs},  {"mj_loadXML", &f.load},           {"mj_makeData", &f.data},
      {"mj_deleteModel", &f.free_model}, {"mj_deleteData", &f.free_data},  {"mj_step", &f.step},
      {"mj_forward", &f.forward},       {"mj_resetData", &f.reset},        {"mj_name2id", &f.find},
      {"mj_id2name", &f.name},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    void* at = dlsym(library, wanted[i].name);
    if (!at) {
      snprintf(error->text, sizeof error->text, "it exports no %s", wanted[i].name);
      return 0;
    }
    memcpy(wanted[i].into, &at, sizeof at);
    if (i == 0 && (*got = f.version()) != want) return 0;
  }
  void (**error_hook)(const char*) = dlsym(library, "mju_user_error");
  void (**warning_hook)(const char*) = dlsym(library, "mju_user_warning");
  if (!error_hook || !warning_hook || pthread_key_create(&key, free)) {
    say(error, "its errors cannot be caught");
    return 0;
  }
  *error_hook = on_error;
  *warning_hook = on_warning;
  mj = f;
  return 1;
}

static void* parse(const char* name, const mjvfs* vfs, char text[1000], tlkit_mj_error* error) {
  void* model;
  GUARD(error, NULL, model = mj.load(name, vfs, text, 1000));
  return model;
}

void* tlkit_mj_load(const char* name, const tlkit_mj_file* files, int n, tlkit_mj_error* error) {
  mjvfs vfs = {0};
  void* model = NULL;
  mj.default_vfs(&vfs);
  for (int i = 0; i < n; i++) {
    if (mj.add(&vfs, files[i].name, files[i].content, files[i].size)) {
      snprintf(error->text, sizeof error->text, "the file %s cannot be taken", files[i].name);
      mj.delete_vfs(&vfs);
      return NULL;
    }
  }
  char text[1000] = "";
  model = parse(name, &vfs, text, error);
  mj.delete_vfs(&vfs);
  if (model) {
    error->text[0] = 0;  // warnings of its compiler
  } else {
    say(error, text[0] ? text : "MuJoCo does not say why");
  }
  return model;
}

void* tlkit_mj_data(const void* model, tlkit_mj_error* error) {
  void* data = NULL;
  GUARD(error, NULL, data = mj.data(model));
  if (!data) say(error, "there is no memory left");
  return data;
}

void tlkit_mj_free_model(void* model) { mj.free_model(model); }

void tlkit_mj_free_data(void* data) { mj.free_data(data); }

int tlkit_mj_step(const void* model, void* data, int n, tlkit_mj_error* error) {
  GUARD(error, 0, for (int i = 0; i < n && !error->text[0]; i++) mj.step(model, data));
  return !error->text[0];
}

int tlkit_mj_forward(const void* model, void* data, tlkit_mj_error* error) {
  GUARD(error, 0, mj.forward(model, data));
  return !error->text[0];
}

int tlkit_mj_reset(const void* model, void* data, tlkit_mj_error* error) {
  GUARD(error, 0, mj.reset(model, data));
  return !error->text[0];
}

int tlkit_mj_find(const void* model, int kind, const char* name) { return mj.find(model, kind, name); }

const char* tlkit_mj_name(const void* model, int kind, int id) { return mj.name(model, kind, id); }
