// Ends a process at the n-th step that it takes towards the disk, as a power cut or a `kill -9` would.
//
// Preloaded into the server by crash.rs. Steps are counted from the moment the file $CRASH_AT is there, which holds n.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long left = -1;

// The number in the file, or -1 while there is none.
static long armed(void) {
    const char *path = getenv("CRASH_AT");
    if (!path) return -1;
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    char text[24] = {0};
    long length = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    return length > 0 ? atol(text) : -1;
}

static void step(void) {
    if (atomic_load(&left) < 0) {
        long at = armed(), none = -1;
        if (at < 0) return;
        atomic_compare_exchange_strong(&left, &none, at);
    }
    if (atomic_fetch_sub(&left, 1) == 0) _exit(137);
}

static int is_file(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

#define NEXT(result, name, ...) ((result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

ssize_t write(int d, const void *b, size_t n) {
    if (is_file(d)) step();
    return NEXT(ssize_t, write, int, const void *, size_t)(d, b, n);
}
ssize_t writev(int d, const struct iovec *v, int n) {
    if (is_file(d)) step();
    return NEXT(ssize_t, writev, int, const struct iovec *, int)(d, v, n);
}
ssize_t pwrite64(int d, const void *b, size_t n, off64_t at) {
    step();
    return NEXT(ssize_t, pwrite64, int, const void *, size_t, off64_t)(d, b, n, at);
}
int fsync(int d) { step(); return NEXT(int, fsync, int)(d); }
int fdatasync(int d) { step(); return NEXT(int, fdatasync, int)(d); }
int ftruncate64(int d, off64_t n) { step(); return NEXT(int, ftruncate64, int, off64_t)(d, n); }
int rename(const char *a, const char *b) { step(); return NEXT(int, rename, const char *, const char *)(a, b); }
int renameat(int c, const char *a, int d, const char *b) {
    step();
    return NEXT(int, renameat, int, const char *, int, const char *)(c, a, d, b);
}
int renameat2(int c, const char *a, int d, const char *b, unsigned f) {
    step();
    return NEXT(int, renameat2, int, const char *, int, const char *, unsigned)(c, a, d, b, f);
}
int link(const char *a, const char *b) { step(); return NEXT(int, link, const char *, const char *)(a, b); }
int linkat(int c, const char *a, int d, const char *b, int f) {
    step();
    return NEXT(int, linkat, int, const char *, int, const char *, int)(c, a, d, b, f);
}
int unlink(const char *a) { step(); return NEXT(int, unlink, const char *)(a); }
int unlinkat(int d, const char *a, int f) { step(); return NEXT(int, unlinkat, int, const char *, int)(d, a, f); }
int mkdir(const char *a, mode_t m) { step(); return NEXT(int, mkdir, const char *, mode_t)(a, m); }
int rmdir(const char *a) { step(); return NEXT(int, rmdir, const char *)(a); }
int open64(const char *a, int f, ...) {
    va_list more;
    va_start(more, f);
    mode_t m = (f & O_CREAT) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (f & (O_CREAT | O_TRUNC)) step();
    return NEXT(int, open64, const char *, int, ...)(a, f, m);
}
