/*
 * Preloaded into `keyscaler apply`: counts the calls by which it changes something, and at one of them kills the process
 * (before it, after it, or in the middle of a write), or lets it fail as a full or broken disk would. Counting is by name
 * of the call, over all threads, and only what lies under one folder, goes to a socket, or starts a process.
 *
 * KEYSCALER_CRASH_FOLDER  the state folder
 * KEYSCALER_CRASH_PORT    of the database: what is written to it counts as `sql`, to other TCP peers as `peer`
 * KEYSCALER_CRASH_LOG     gets a line a call: "rename 7 boot.json"
 * KEYSCALER_CRASH_AT      "rename:7:before", optional; before, after, torn, EIO or ENOSPC
 *
 * None of these is handed on to what that process starts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum call { CREATE, WRITE, FSYNC, RENAME, UNLINK, MKDIR, RMDIR, LINK, CHMOD, TRUNCATE, FORK, AGENT, PEER, SQL,
            JOURNAL, JOURNAL_FILE, CALLS };
static const char *const names[CALLS] = { "create", "write", "fsync", "rename", "unlink", "mkdir", "rmdir",
                                          "link", "chmod", "truncate", "fork", "agent", "peer", "sql",
                                          "journal", "journal-file" };
enum how { GO_ON, BEFORE, AFTER, TORN, FAIL };

static pid_t owner; /* 0: not armed */
static char folder[512];
static size_t folder_length;
static int port, log_fd = -1;
static atomic_int counted[CALLS], full;
static int at_call = -1, at_n, at_errno;
static enum how at_how;

/* Looked up at first use: libraries call these before any constructor ran. */
#define REAL(result, name, ...) \
  static result (*real)(__VA_ARGS__); \
  if (real == NULL) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void aim(char *text) {
  char *n = strchr(text, ':');
  char *how = n == NULL ? NULL : strchr(n + 1, ':');
  if (how == NULL) abort();
  *n++ = *how++ = '\0';
  for (int call = 0; call < CALLS; call++)
    if (strcmp(names[call], text) == 0) at_call = call;
  at_n = atoi(n);
  at_how = strcmp(how, "before") == 0 ? BEFORE : strcmp(how, "after") == 0 ? AFTER : strcmp(how, "torn") == 0 ? TORN : FAIL;
  at_errno = strcmp(how, "ENOSPC") == 0 ? ENOSPC : EIO;
}

__attribute__((constructor)) static void arm(void) {
  const char *under = getenv("KEYSCALER_CRASH_FOLDER"), *log = getenv("KEYSCALER_CRASH_LOG");
  const char *database = getenv("KEYSCALER_CRASH_PORT");
  char *at = getenv("KEYSCALER_CRASH_AT");
  /* setpriv, which starts it, passes everything on. */
  if (under == NULL || log == NULL || database == NULL || strcmp(program_invocation_short_name, "node") != 0) return;
  folder_length = (size_t)snprintf(folder, sizeof folder, "%s", under);
  port = atoi(database);
  log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (at != NULL) aim(at);
  unsetenv("LD_PRELOAD");
  unsetenv("KEYSCALER_CRASH_FOLDER");
  unsetenv("KEYSCALER_CRASH_LOG");
  unsetenv("KEYSCALER_CRASH_PORT");
  unsetenv("KEYSCALER_CRASH_AT");
  owner = getpid();
}

static void die(void) {
  kill(owner, SIGKILL);
  for (;;) pause();
}

static int under(const char *path) {
  return owner != 0 && path != NULL && strncmp(path, folder, folder_length) == 0 &&
         (path[folder_length] == '/' || path[folder_length] == '\0');
}

/* Journals of jobs are written as things happen, in pieces that differ from run to run: they have numbers of their own, so that
 * those of all other calls are the same each time. */
static enum call counted_as(enum call call, const char *what) {
  if (!under(what)) return call;
  const char *name = what + folder_length;
  if (strncmp(name, "/jobs", 5) != 0 || (name[5] != '/' && name[5] != '\0')) return call;
  return call == WRITE ? JOURNAL : JOURNAL_FILE;
}

static enum how strike(enum call call, const char *what) {
  if (getpid() != owner) return GO_ON;
  call = counted_as(call, what);
  int n = atomic_fetch_add(&counted[call], 1) + 1;
  char line[700];
  if (under(what)) what += folder_length + (what[folder_length] == '/');
  int length = snprintf(line, sizeof line, "%s %d %s\n", names[call], n, what);
  syscall(SYS_write, log_fd, line, (size_t)length);
  if (full && (call == CREATE || call == WRITE || call == FSYNC || call == MKDIR || call >= JOURNAL)) {
    errno = ENOSPC;
    return FAIL;
  }
  if ((int)call != at_call || n != at_n) return GO_ON;
  if (at_how == BEFORE) die();
  if (at_how == FAIL) {
    errno = at_errno;
    /* A disk that is full stays full; a call that failed for another reason may work the next time. */
    full = at_errno == ENOSPC;
  }
  return at_how;
}

/* The whole path of a name beside an open folder; false when it is not under ours. */
static int within(int fd, const char *name, char *path, size_t size) {
  char link[64], at[600];
  if (name[0] == '/' || fd == AT_FDCWD) {
    snprintf(path, size, "%s", name);
    return under(path);
  }
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, at, sizeof at - 1);
  if (length < 0) return 0;
  snprintf(path, size, "%.*s/%s", (int)length, at, name);
  return under(path);
}

/* The call in its place: nothing, or a kill after it, or the error instead of it. */
#define AROUND(call, what, result, work) \
  enum how how_ = strike(call, what); \
  if (how_ == FAIL) return (result)-1; \
  result made_ = work; \
  if (how_ == AFTER) die(); \
  return made_

static int create(const char *name, const char *path, int flags, mode_t mode) {
  REAL(int, name, const char *, int, ...);
  if (!under(path) || (flags & (O_CREAT | O_TRUNC)) == 0) return real(path, flags, mode);
  AROUND(CREATE, path, int, real(path, flags, mode));
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list more; \
    va_start(more, flags); \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    return create("open64", path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  if (!under(to)) return real(from, to);
  AROUND(RENAME, to, int, real(from, to));
}

int link(const char *from, const char *to) {
  REAL(int, "link", const char *, const char *);
  if (!under(to)) return real(from, to);
  AROUND(LINK, to, int, real(from, to));
}

#define ON_PATH(name, call) \
  int name(const char *path) { \
    REAL(int, #name, const char *); \
    if (!under(path)) return real(path); \
    AROUND(call, path, int, real(path)); \
  }
ON_PATH(unlink, UNLINK)
ON_PATH(rmdir, RMDIR)
/* What node's synchronous rm is made of. */
ON_PATH(remove, UNLINK)

int unlinkat(int folder_fd, const char *name, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  char path[1200];
  if (owner == 0 || !within(folder_fd, name, path, sizeof path)) return real(folder_fd, name, flags);
  AROUND((flags & AT_REMOVEDIR) != 0 ? RMDIR : UNLINK, path, int, real(folder_fd, name, flags));
}

#define ON_PATH_WITH(name, type, call) \
  int name(const char *path, type more) { \
    REAL(int, #name, const char *, type); \
    if (!under(path)) return real(path, more); \
    AROUND(call, path, int, real(path, more)); \
  }
ON_PATH_WITH(chmod, mode_t, CHMOD)
ON_PATH_WITH(truncate, off_t, TRUNCATE)

int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  /* `recursive` asks for what is there, too: that changes nothing. */
  if (!under(path) || access(path, F_OK) == 0) return real(path, mode);
  AROUND(MKDIR, path, int, real(path, mode));
}

/* What an open file is: CALLS when it is none of ours. */
static enum call kind_of(int fd, char *path, size_t size) {
  struct stat info;
  if (owner == 0 || fd <= 3 || fd == log_fd || fstat(fd, &info) != 0) return CALLS;
  if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return CALLS;
    path[length] = '\0';
    return under(path) ? WRITE : CALLS;
  }
  if (!S_ISSOCK(info.st_mode)) return CALLS;
  struct sockaddr_storage peer;
  socklen_t size_of = sizeof peer;
  if (getpeername(fd, (struct sockaddr *)&peer, &size_of) != 0) return CALLS;
  snprintf(path, size, "-");
  if (peer.ss_family == AF_UNIX) return AGENT;
  int other = ntohs(((struct sockaddr_in *)&peer)->sin_port);
  snprintf(path, size, "%d", other);
  return other == port ? SQL : PEER;
}

int fsync(int fd) {
  REAL(int, "fsync", int);
  char path[600];
  if (kind_of(fd, path, sizeof path) != WRITE) return real(fd);
  AROUND(FSYNC, path, int, real(fd));
}

int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  char path[600];
  if (kind_of(fd, path, sizeof path) != WRITE) return real(fd);
  AROUND(FSYNC, path, int, real(fd));
}

int fchmod(int fd, mode_t mode) {
  REAL(int, "fchmod", int, mode_t);
  char path[600];
  if (kind_of(fd, path, sizeof path) != WRITE) return real(fd, mode);
  AROUND(CHMOD, path, int, real(fd, mode));
}

/* Half of it, then the end: as a power cut leaves a file. */
static void tear(ssize_t (*one)(int, const void *, size_t), int fd, const void *data, size_t length) {
  one(fd, data, length / 2);
  die();
}

ssize_t write(int fd, const void *data, size_t length) {
  REAL(ssize_t, "write", int, const void *, size_t);
  char path[600];
  enum call call = kind_of(fd, path, sizeof path);
  if (call == CALLS) return real(fd, data, length);
  enum how how = strike(call, path);
  if (how == FAIL) return -1;
  if (how == TORN) tear(real, fd, data, length);
  ssize_t made = real(fd, data, length);
  if (how == AFTER) die();
  return made;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  char path[600];
  enum call call = kind_of(fd, path, sizeof path);
  if (call == CALLS) return real(fd, data, length, offset);
  enum how how = strike(call, path);
  if (how == FAIL) return -1;
  ssize_t made = real(fd, data, how == TORN ? length / 2 : length, offset);
  if (how == AFTER || how == TORN) die();
  return made;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  char path[600];
  enum call call = kind_of(fd, path, sizeof path);
  if (call == CALLS) return real(fd, parts, count);
  AROUND(call, path, ssize_t, real(fd, parts, count));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  REAL(ssize_t, "sendmsg", int, const struct msghdr *, int);
  char path[600];
  enum call call = kind_of(fd, path, sizeof path);
  if (call == CALLS) return real(fd, message, flags);
  AROUND(call, path, ssize_t, real(fd, message, flags));
}

pid_t fork(void) {
  REAL(pid_t, "fork", void);
  if (owner == 0 || getpid() != owner) return real();
  enum how how = strike(FORK, "-");
  if (how == FAIL) {
    errno = EAGAIN;
    return -1;
  }
  pid_t made = real();
  if (made != 0 && how == AFTER) die();
  return made;
}
