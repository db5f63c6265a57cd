//go:build cgo && unix

// XLA asks for one block for the intermediate results of a call, tens of megabytes to gigabytes, and
// frees it at the end. The C library gives a block that large back to the system, which clears every
// page again in the next call: up to two fifths of the time of a training step. So large blocks are
// kept here, with the plugin's calls of posix_memalign, realloc and free going through this file.
// Used and kept blocks together are never more than the most that was in use at one time, so that a
// process needs no more memory than before.

#define _GNU_SOURCE  // dlinfo

#include "memory.h"

#include <stdlib.h>

#if defined(__linux__) && defined(__GLIBC__) && defined(__LP64__)

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALLEST ((size_t)1 << 20)      // of the blocks that are kept
#define GRAIN ((size_t)1 << 16)         // sizes are multiples of it, and it of every page
#define HUGE_PAGE ((uintptr_t)1 << 21)  // blocks begin at a multiple of it
#define MOST 1024                       // blocks at one time

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block {
  void* at;
  size_t size;
  uint64_t freed;  // the number of its free, 0 while it is in use
} blocks[MOST];
static int count;
static uint64_t frees;
static size_t used, kept, peak, given;

// The C library's own.
static int (*plain_memalign)(void**, size_t, size_t);
static void (*plain_free)(void*);
static void* (*plain_realloc)(void*, size_t);

// mapped returns new memory that begins at a multiple of HUGE_PAGE, or NULL.
static void* mapped(size_t size) {
  char* p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  size_t before = -(uintptr_t)p & (HUGE_PAGE - 1);
  if (before) munmap(p, before);
  munmap(p + before + size, HUGE_PAGE - before);
  // Fewer, larger pages are faster to clear where memory is touched for the first time.
  madvise(p + before, size, MADV_HUGEPAGE);
  return p + before;
}

static void drop(int i) {
  munmap(blocks[i].at, blocks[i].size);
  kept -= blocks[i].size;
  blocks[i] = blocks[--count];
}

// oldest is the kept block that was freed first, or -1.
static int oldest(void) {
  int found = -1;
  for (int i = 0; i < count; i++)
    if (blocks[i].freed && (found < 0 || blocks[i].freed < blocks[found].freed)) found = i;
  return found;
}

// taken returns a kept block of about that size or a new one, or NULL.
static void* taken(size_t size) {
  int fit = -1;
  for (int i = 0; i < count; i++)
    if (blocks[i].freed && blocks[i].size >= size && blocks[i].size <= size + size / 4 &&
        (fit < 0 || blocks[i].size < blocks[fit].size))
      fit = i;
  if (fit < 0) {
    if (used + size > peak) peak = used + size;
    for (int i; used + kept + size > peak && (i = oldest()) >= 0;) drop(i);
    if (count == MOST) return NULL;
    void* p = mapped(size);
    if (!p) return NULL;
    fit = count++;
    blocks[fit] = (struct block){p, size, 1};
    kept += size;
    given += size;
  }
  blocks[fit].freed = 0;
  kept -= blocks[fit].size;
  used += blocks[fit].size;
  if (used > peak) peak = used;
  return blocks[fit].at;
}

static int keeping_memalign(void** out, size_t align, size_t size) {
  void* p = NULL;
  if (size >= SMALLEST && align <= HUGE_PAGE && size < SIZE_MAX - 2 * HUGE_PAGE) {
    pthread_mutex_lock(&lock);
    p = taken((size + GRAIN - 1) & ~(GRAIN - 1));
    pthread_mutex_unlock(&lock);
  }
  if (!p) return plain_memalign(out, align, size);
  *out = p;
  return 0;
}

// own returns the number of the block in use at p, or -1. The caller holds the lock.
static int own(const void* p) {
  for (int i = 0; i < count; i++)
    if (blocks[i].at == p && !blocks[i].freed) return i;
  return -1;
}

static int maybe_own(const void* p) { return p && ((uintptr_t)p & (HUGE_PAGE - 1)) == 0; }

static void keeping_free(void* p) {
  int i = -1;
  if (maybe_own(p)) {
    pthread_mutex_lock(&lock);
    if ((i = own(p)) >= 0) {
      blocks[i].freed = ++frees;
      used -= blocks[i].size;
      kept += blocks[i].size;
    }
    pthread_mutex_unlock(&lock);
  }
  if (i < 0) plain_free(p);
}

static void* keeping_realloc(void* p, size_t size) {
  size_t old = 0;
  if (maybe_own(p)) {
    pthread_mutex_lock(&lock);
    int i = own(p);
    if (i >= 0) old = blocks[i].size;
    pthread_mutex_unlock(&lock);
  }
  if (!old) return plain_realloc(p, size);
  void* moved = plain_realloc(NULL, size);
  if (!moved) return NULL;
  memcpy(moved, p, size < old ? size : old);
  keeping_free(p);
  return moved;
}

// imports are the places through which a library calls other libraries.
struct imports {
  const ElfW(Rela) * lists[2];
  size_t lengths[2];
  const ElfW(Sym) * symbols;
  const char* names;
  uintptr_t base;
};

static int imports_of(void* library, struct imports* in) {
  struct link_map* map;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map)) return 0;
  memset(in, 0, sizeof *in);
  in->base = map->l_addr;
  size_t relative = 0;  // leading entries that have no name
  int rela = 0;
  for (const ElfW(Dyn)* d = map->l_ld; d->d_tag != DT_NULL; d++) switch (d->d_tag) {
      case DT_JMPREL: in->lists[0] = (const ElfW(Rela)*)d->d_un.d_ptr; break;
      case DT_PLTRELSZ: in->lengths[0] = d->d_un.d_val / sizeof(ElfW(Rela)); break;
      case DT_PLTREL: rela = d->d_un.d_val == DT_RELA; break;
      case DT_RELA: in->lists[1] = (const ElfW(Rela)*)d->d_un.d_ptr; break;
      case DT_RELASZ: in->lengths[1] = d->d_un.d_val / sizeof(ElfW(Rela)); break;
      case DT_RELACOUNT: relative = d->d_un.d_val; break;
      case DT_SYMTAB: in->symbols = (const ElfW(Sym)*)d->d_un.d_ptr; break;
      case DT_STRTAB: in->names = (const char*)d->d_un.d_ptr; break;
    }
  if (!rela || !in->lists[0] || !in->symbols || !in->names) return 0;
  if (in->lists[1] && relative <= in->lengths[1]) {
    in->lists[1] += relative;
    in->lengths[1] -= relative;
  }
  return 1;
}

// places collects where a library holds the address of a function, and returns how many there are.
static int places(const struct imports* in, const char* function, void** found[], int most) {
  int n = 0;
  for (int l = 0; l < 2; l++)
    for (size_t i = 0; in->lists[l] && i < in->lengths[l]; i++) {
      const ElfW(Rela)* r = &in->lists[l][i];
      const ElfW(Sym)* symbol = &in->symbols[ELF64_R_SYM(r->r_info)];
      if (strcmp(in->names + symbol->st_name, function)) continue;
      // Anything but the plain address of a function of another library is not understood.
      if (r->r_addend || symbol->st_shndx != SHN_UNDEF || n == most) return -1;
      found[n++] = (void**)(in->base + r->r_offset);
    }
  return n;
}

static int replace(void** place, void* by) {
  uintptr_t page = sysconf(_SC_PAGESIZE), start = (uintptr_t)place & ~(page - 1);
  if (mprotect((void*)start, page, PROT_READ | PROT_WRITE)) return 0;
  __atomic_store_n(place, by, __ATOMIC_RELEASE);
  return 1;
}

int tlkit_keep_memory(void* library) {
  enum { each = 8 };
  struct imports in;
  void **memaligns[each], **frees_[each], **reallocs[each], **others[each];
  if (!imports_of(library, &in)) return 0;
  int m = places(&in, "posix_memalign", memaligns, each), f = places(&in, "free", frees_, each);
  int r = places(&in, "realloc", reallocs, each);
  if (m < 1 || f < 1 || r < 0 || places(&in, "malloc_usable_size", others, each)) return 0;
  plain_memalign = posix_memalign;
  plain_free = free;
  plain_realloc = realloc;
  // What hands out blocks comes last.
  for (int i = 0; i < r; i++)
    if (!replace(reallocs[i], (void*)keeping_realloc)) return 0;
  for (int i = 0; i < f; i++)
    if (!replace(frees_[i], (void*)keeping_free)) return 0;
  for (int i = 0; i < m; i++)
    if (!replace(memaligns[i], (void*)keeping_memalign)) return 0;
  return 1;
}

void tlkit_release_memory(void) {
  pthread_mutex_lock(&lock);
  for (int i; (i = oldest()) >= 0;) drop(i);
  peak = used;
  pthread_mutex_unlock(&lock);
}

struct tlkit_memory tlkit_memory(void) {
  pthread_mutex_lock(&lock);
  struct tlkit_memory m = {used, kept, given};
  pthread_mutex_unlock(&lock);
  return m;
}

#else

int tlkit_keep_memory(void* library) { return 0; }
void tlkit_release_memory(void) {}
struct tlkit_memory tlkit_memory(void) { return (struct tlkit_memory){0, 0, 0}; }

#endif
