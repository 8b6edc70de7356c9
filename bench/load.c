/*
 * The load generator: connections with mutual TLS, one request in flight on each, always the same one.
 *   load PORT CONNECTIONS MILLISECONDS CERTIFICATE KEY CA
 * The three are paths of PEM files. The request, whole with its head, is standard input. Standard output: a line "counting" when
 * handshakes and a first while are over, one line of JSON, and the body of the first answer, or of the last one that was not 200.
 * Anything wrong: a line on standard error, exit 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONNECTIONS 256
/* The largest call of the KMS and its answer: 64 messages. */
#define MOST_BYTES 65536
/* Latencies are counted in steps of 10 µs, up to ten seconds. */
#define STEP 1e-5
#define STEPS 1000000

static const double first_while = 0.3, last_while = 2;

struct caller {
  SSL *ssl;
  double asked; /* when; 0: no answer is owed */
  size_t got;
  char answer[MOST_BYTES + 1];
};

static struct caller callers[MOST_CONNECTIONS];
static char request[MOST_BYTES];
static size_t request_length;
static unsigned counts[STEPS];
static unsigned long answered, refused;
static char sample[MOST_BYTES + 1];
static enum { warming, counting, over } state;
static int owed;

static void must(int ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "%s failed (%s)\n", what, errno ? strerror(errno) : "no system error");
  ERR_print_errors_fp(stderr);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double processor_time(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void ask(struct caller *one) {
  /* Some kilobytes at most on a connection on which nothing else is under way: the kernel takes them at once. */
  one->asked = now();
  must(SSL_write(one->ssl, request, (int)request_length) == (int)request_length, "writing a request");
  owed += 1;
}

/* Of our own servers only: HTTP/1.1 with a content-length. NULL until all of it is there. */
static char *whole_body(struct caller *one) {
  one->answer[one->got] = '\0';
  char *end = strstr(one->answer, "\r\n\r\n");
  if (end == NULL) return NULL;
  char *length = strcasestr(one->answer, "\r\ncontent-length:");
  must(length != NULL && length < end, "finding content-length in an answer");
  char *body = end + 4;
  return one->got < (size_t)(body - one->answer) + strtoul(length + 17, NULL, 10) ? NULL : body;
}

static void take(struct caller *one, const char *body) {
  int ok = strncmp(one->answer, "HTTP/1.1 200 ", 13) == 0;
  if (state == counting) {
    double steps = (now() - one->asked) / STEP;
    counts[steps < STEPS - 1 ? (size_t)steps : STEPS - 1] += 1;
    *(ok ? &answered : &refused) += 1;
  }
  if (!ok || sample[0] == '\0') strcpy(sample, body);
  one->got = 0;
  owed -= 1;
  if (state != over) ask(one);
}

/* Until nothing more is there: the socket tells of it once only. */
static void hear(struct caller *one) {
  for (;;) {
    must(one->got < MOST_BYTES, "finding room for an answer");
    int length = SSL_read(one->ssl, one->answer + one->got, (int)(MOST_BYTES - one->got));
    if (length <= 0) {
      must(SSL_get_error(one->ssl, length) == SSL_ERROR_WANT_READ, "reading an answer");
      return;
    }
    one->got += (size_t)length;
    char *body = whole_body(one);
    if (body != NULL) take(one, body);
  }
}

static void hear_until(int events, double end) {
  struct epoll_event ready[MOST_CONNECTIONS];
  for (double left = end - now(); left > 0 && (state != over || owed > 0); left = end - now()) {
    int some = epoll_wait(events, ready, MOST_CONNECTIONS, (int)(left * 1000) + 1);
    must(some >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < some; i++) hear(ready[i].data.ptr);
  }
}

static void open_caller(struct caller *one, SSL_CTX *context, int port, int events) {
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  must(fd >= 0 && connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "connecting");
  must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0, "TCP_NODELAY");
  one->ssl = SSL_new(context);
  must(one->ssl != NULL && SSL_set_fd(one->ssl, fd) == 1, "a connection");
  must(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(one->ssl), "127.0.0.1") == 1, "the server's name");
  must(SSL_connect(one->ssl) == 1, "the TLS handshake");
  must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
  struct epoll_event readable = {.events = EPOLLIN | EPOLLET, .data.ptr = one};
  must(epoll_ctl(events, EPOLL_CTL_ADD, fd, &readable) == 0, "epoll_ctl");
}

/* Milliseconds that so many of a hundred answers took at most. */
static double percentile(double percent) {
  double most = (double)(answered + refused) * percent / 100, seen = 0;
  for (size_t step = 0; step < STEPS; step++) {
    seen += counts[step];
    if (seen > 0 && seen >= most) return (double)(step + 1) * STEP * 1000;
  }
  return 0;
}

int main(int argc, char **argv) {
  must(argc == 7, "reading the arguments");
  int port = atoi(argv[1]), connections = atoi(argv[2]);
  double seconds = atof(argv[3]) / 1000;
  must(port > 0 && connections >= 1 && connections <= MOST_CONNECTIONS && seconds > 0 && seconds <= 60, "reading the arguments");
  request_length = fread(request, 1, sizeof request, stdin);
  must(request_length > 0 && feof(stdin), "reading the request");
  signal(SIGPIPE, SIG_IGN); /* a server that is gone is told of by the failing write */

  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  must(context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1, "TLS 1.3");
  must(SSL_CTX_use_certificate_chain_file(context, argv[4]) == 1, "reading the certificate");
  must(SSL_CTX_use_PrivateKey_file(context, argv[5], SSL_FILETYPE_PEM) == 1, "reading the key");
  must(SSL_CTX_load_verify_locations(context, argv[6], NULL) == 1, "reading the CA");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_read_ahead(context, 1); /* a record is one read instead of two */
  int events = epoll_create1(0);
  must(events >= 0, "epoll_create1");
  for (int i = 0; i < connections; i++) open_caller(&callers[i], context, port, events);

  for (int i = 0; i < connections; i++) ask(&callers[i]);
  hear_until(events, now() + first_while);
  state = counting;
  printf("counting\n");
  fflush(stdout);
  double began = now(), spent = processor_time();
  hear_until(events, began + seconds);
  double took = now() - began;
  spent = processor_time() - spent;
  state = over;
  hear_until(events, now() + last_while);

  printf("{\"seconds\":%.6f,\"answered\":%lu,\"refused\":%lu,\"p50\":%.3f,\"p99\":%.3f,\"processorSeconds\":%.6f}\n", took, answered,
         refused, percentile(50), percentile(99), spent);
  printf("%s", sample);
  return 0;
}
