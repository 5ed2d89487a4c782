/* Records every change that a process makes below one folder, in one order, and
 * makes the n-th of them fail when told to. Built by the tests with `cc` and
 * loaded with LD_PRELOAD; never part of hms-sync.
 *
 * Environment:
 *   RECORDER_UNDER   the folder, absolute and without symbolic links
 *   RECORDER_LOG     the record, outside of the folder; made anew
 *   RECORDER_TOLD    a file whose writes are taken into the record as words of the process
 *   RECORDER_FAIL    number of the change that fails, from 1
 *   RECORDER_HOW     EIO, ENOSPC, EINTR, or SHORT for a write that takes half
 *   RECORDER_STAYS   if set, all changes after that one fail too
 *   RECORDER_ROOM    bytes that the files may grow by in all before ENOSPC
 *   RECORDER_NO_FDATASYNC  if set, fdatasync says yes and does nothing
 *
 * One lock is held over each change and its entry, so the record is the order in
 * which they happened. An entry: struct head, the path, the bytes. Numbers are
 * little-endian on every machine that these tests run on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { WRITE = 1, TRUNCATE, SYNC, RANGE, CREATE, RENAME, UNLINK, MKDIR, TOLD };

struct head {
    uint32_t op;
    uint32_t error; /* errno, 0 if it was done */
    uint64_t offset;
    uint32_t path;
    uint32_t bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int record = -1;
static char under[PATH_MAX], told[PATH_MAX];
static size_t under_length;
static long fail_at, count, stays, no_fdatasync;
static long long room = -1;
static int how;
enum { HALF = -1 };

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, 0, 10) : 0;
}

static void path_from(char *to, const char *name) {
    const char *text = getenv(name);
    if (text && strlen(text) < PATH_MAX) strcpy(to, text);
}

__attribute__((constructor)) static void start(void) {
    const char *log = getenv("RECORDER_LOG"), *kind = getenv("RECORDER_HOW");
    path_from(under, "RECORDER_UNDER");
    path_from(told, "RECORDER_TOLD");
    under_length = strlen(under);
    if (!log || !under_length) return;
    fail_at = number("RECORDER_FAIL");
    stays = getenv("RECORDER_STAYS") != 0;
    no_fdatasync = getenv("RECORDER_NO_FDATASYNC") != 0;
    if (getenv("RECORDER_ROOM")) room = number("RECORDER_ROOM");
    how = !kind || !strcmp(kind, "EIO") ? EIO
        : !strcmp(kind, "ENOSPC") ? ENOSPC
        : !strcmp(kind, "EINTR") ? EINTR
        : HALF;
    record = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
}

static int is_under(const char *path) {
    return record >= 0 && !strncmp(path, under, under_length) && (!path[under_length] || path[under_length] == '/');
}

/* The path of an open file; whether it is one of those that are watched. */
static int watched(int fd, char *path) {
    char link[64];
    if (record < 0 || fd == record) return 0;
    char *end = link + sizeof link - 1;
    *end = 0;
    int rest = fd;
    if (fd < 0) return 0;
    do *--end = '0' + rest % 10; while (rest /= 10);
    static const char proc[] = "/proc/self/fd/";
    end -= sizeof proc - 1;
    memcpy(end, proc, sizeof proc - 1);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, end, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_under(path) || (told[0] && !strcmp(path, told));
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t done = syscall(SYS_write, record, at, length);
        if (done <= 0) abort();
        at += done;
        length -= done;
    }
}

static void note(enum op op, int error, const char *path, uint64_t offset, const void *bytes, size_t length) {
    struct head head = { op, error, offset, strlen(path), length };
    put(&head, sizeof head);
    put(path, head.path);
    put(bytes, length);
}

/* Counts a change; answers the errno that it fails with, HALF, or 0. */
static int verdict(void) {
    count++;
    if (!fail_at || count < fail_at || (count > fail_at && !stays)) return 0;
    return how;
}

static int fail(enum op op, int error, const char *path, const void *bytes, size_t length) {
    note(op, error, path, 0, bytes, length);
    errno = error;
    return -1;
}

/* One write of a watched file at `offset`, or at its position. */
static ssize_t change(int fd, const char *path, const void *bytes, size_t length, off_t offset, int positioned) {
    ssize_t done;
    pthread_mutex_lock(&lock);
    if (told[0] && !strcmp(path, told)) {
        done = syscall(SYS_write, fd, bytes, length);
        note(TOLD, 0, path, 0, bytes, length);
        pthread_mutex_unlock(&lock);
        return done;
    }
    int error = verdict();
    struct stat found;
    fstat(fd, &found);
    if (!positioned)
        offset = fcntl(fd, F_GETFL) & O_APPEND ? found.st_size : lseek(fd, 0, SEEK_CUR);
    if (error == HALF) {
        length = length > 1 ? length / 2 : length;
        error = 0;
    }
    off_t grows = offset + (off_t)length - found.st_size;
    if (!error && room >= 0 && grows > 0) {
        if (grows > room) {
            size_t fits = length > (size_t)(grows - room) ? length - (grows - room) : 0;
            if (!fits) error = ENOSPC;
            length = fits;
            grows = room;
        }
        room -= grows;
    }
    if (error) {
        done = fail(WRITE, error, path, 0, 0);
    } else {
        done = positioned ? syscall(SYS_pwrite64, fd, bytes, length, offset) : syscall(SYS_write, fd, bytes, length);
        if (done >= 0) note(WRITE, 0, path, offset, bytes, done);
        else note(WRITE, errno, path, offset, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

/* One other change: what it is, and how it is done if it does not fail. */
#define CHANGE(op, path, offset, bytes, length, call)                       \
    do {                                                                    \
        pthread_mutex_lock(&lock);                                          \
        int error = verdict();                                              \
        long done;                                                          \
        if (error == HALF) error = 0;                                       \
        if (error) done = fail(op, error, path, bytes, length);             \
        else {                                                              \
            done = call;                                                    \
            int kept = errno;                                               \
            note(op, done < 0 ? kept : 0, path, offset, bytes, length);     \
            errno = kept;                                                   \
        }                                                                   \
        pthread_mutex_unlock(&lock);                                        \
        return done;                                                        \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t length) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return syscall(SYS_write, fd, bytes, length);
    return change(fd, path, bytes, length, 0, 0);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return syscall(SYS_pwrite64, fd, bytes, length, offset);
    return change(fd, path, bytes, length, offset, 1);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite(fd, bytes, length, offset);
}

/* A first buffer is as good as all: whoever asks must go on with the rest. */
ssize_t writev(int fd, const struct iovec *parts, int many) {
    char path[PATH_MAX];
    if (many < 1 || !watched(fd, path)) return syscall(SYS_writev, fd, parts, many);
    return change(fd, path, parts[0].iov_base, parts[0].iov_len, 0, 0);
}

ssize_t pwritev(int fd, const struct iovec *parts, int many, off_t offset) {
    char path[PATH_MAX];
    if (many < 1 || !watched(fd, path)) return syscall(SYS_pwritev, fd, parts, many, offset, 0);
    return change(fd, path, parts[0].iov_base, parts[0].iov_len, offset, 1);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int many, off_t offset) {
    return pwritev(fd, parts, many, offset);
}

int ftruncate(int fd, off_t length) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return syscall(SYS_ftruncate, fd, length);
    CHANGE(TRUNCATE, path, length, 0, 0, syscall(SYS_ftruncate, fd, length));
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

int fsync(int fd) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return syscall(SYS_fsync, fd);
    CHANGE(SYNC, path, 0, 0, 0, syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return syscall(SYS_fdatasync, fd);
    if (no_fdatasync) return 0;
    CHANGE(SYNC, path, 1, 0, 0, syscall(SYS_fdatasync, fd));
}

int sync_file_range(int fd, off_t offset, off_t length, unsigned flags) {
    char path[PATH_MAX];
    if (!watched(fd, path)) return syscall(SYS_sync_file_range, fd, offset, length, flags);
    CHANGE(RANGE, path, offset, 0, 0, syscall(SYS_sync_file_range, fd, offset, length, flags));
}

static int make(int at, const char *path, int flags, mode_t mode) {
    struct stat found;
    int makes = flags & O_CREAT && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int cuts = flags & O_TRUNC && stat(path, &found) == 0 && found.st_size > 0;
    if (!is_under(path) || (!makes && !cuts)) return syscall(SYS_openat, at, path, flags, mode);
    if (makes) CHANGE(CREATE, path, 0, 0, 0, syscall(SYS_openat, at, path, flags, mode));
    CHANGE(TRUNCATE, path, 0, 0, 0, syscall(SYS_openat, at, path, flags, mode));
}

#define MODE(flags, mode)                                \
    mode_t mode = 0;                                     \
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) { \
        va_list rest;                                    \
        va_start(rest, flags);                           \
        mode = va_arg(rest, int);                        \
        va_end(rest);                                    \
    }

int open(const char *path, int flags, ...) { MODE(flags, mode) return make(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, mode) return make(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, mode) return make(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode) return make(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return make(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int rename(const char *from, const char *to) {
    if (!is_under(from)) return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    CHANGE(RENAME, from, 0, to, strlen(to), syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int unlink(const char *path) {
    if (!is_under(path)) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    CHANGE(UNLINK, path, 0, 0, 0, syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

int mkdir(const char *path, mode_t mode) {
    if (!is_under(path)) return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    CHANGE(MKDIR, path, 0, 0, 0, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
