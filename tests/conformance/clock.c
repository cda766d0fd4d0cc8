/* Gives a program a wall clock of another day, and lets time pass for it: LD_PRELOAD. The file that
 * KEDGE_CLOCK names holds two numbers of eight bytes: seconds by which the wall clock is off, and
 * seconds that have passed for every clock. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*real)(clockid_t, struct timespec *);
static const volatile int64_t *shift;

__attribute__((constructor)) static void begin(void) {
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("KEDGE_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *map = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED) shift = map;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real) begin();
    int status = real(clock, now);
    if (status != 0 || !shift) return status;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        now->tv_sec += shift[0] + shift[1];
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        now->tv_sec += shift[1];
        break;
    }
    return status;
}
