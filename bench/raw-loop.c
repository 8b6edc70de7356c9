/*
 * The reference of the benchmarks: how fast a token signs when C asks it, with N threads that have a session each.
 *   raw-loop MODULE SERIAL KEY-ID ec|rsa DIGEST THREADS MILLISECONDS sign|verify
 * With `verify` each signature is also verified by the token, which is the work that the KMS does for one.
 * The PIN is the first line of standard input. One line of JSON on standard output; anything wrong: a line on standard error, exit 1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "../sandbox/luna/functions.h"

#define MOST_THREADS 256

/* Of PKCS#11 2.40; under names of our own, since cryptoki.h has whatever the stand-in needs. */
enum {
  os_locking_ok = 0x2, rw_and_serial = 0x6, attribute_class = 0x0, attribute_id = 0x102, class_public_key = 0x2, class_private_key = 0x3,
  rsa_pkcs = 0x1, ecdsa = 0x1041
};

struct raw_initialize { void *create, *destroy, *lock, *unlock; CK_FLAGS flags; void *reserved; };
struct raw_mechanism { CK_ULONG type; void *parameter; CK_ULONG length; };
struct raw_attribute { CK_ULONG type; void *value; CK_ULONG length; };

/* DigestInfo of SHA-256 (RFC 8017 9.2), before the digest for rsa_pkcs: what the KMS sends too. */
static const CK_BYTE digest_info[19] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

struct worker {
  pthread_t thread;
  CK_SESSION_HANDLE session;
  unsigned long signs;
  CK_BYTE signature[512];
  CK_ULONG length;
};

static CK_FUNCTION_LIST *p11;
static CK_OBJECT_HANDLE key, public_key;
static int verifies;
static struct raw_mechanism mechanism;
static CK_BYTE input[51];
static CK_ULONG input_length;
static struct worker workers[MOST_THREADS];
static int counting, over;

static void must(int ok, const char *what, CK_RV rv) {
  if (ok) return;
  fprintf(stderr, "%s failed (0x%lx)\n", what, rv);
  exit(1);
}
#define CALL(name, ...) do { CK_RV rv_ = p11->name(__VA_ARGS__); must(rv_ == CKR_OK, #name, rv_); } while (0)

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void rest(double seconds) {
  struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  while (nanosleep(&t, &t) != 0) continue;
}

static void *work(void *given) {
  struct worker *own = given;
  while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
    own->length = sizeof own->signature;
    CALL(C_SignInit, own->session, &mechanism, key);
    CALL(C_Sign, own->session, input, input_length, own->signature, &own->length);
    if (verifies) {
      CALL(C_VerifyInit, own->session, &mechanism, public_key);
      CALL(C_Verify, own->session, input, input_length, own->signature, own->length);
    }
    if (__atomic_load_n(&counting, __ATOMIC_RELAXED)) __atomic_fetch_add(&own->signs, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

static unsigned long counted(int threads) {
  unsigned long sum = 0;
  for (int i = 0; i < threads; i++) sum += __atomic_load_n(&workers[i].signs, __ATOMIC_RELAXED);
  return sum;
}

static void read_hex(const char *hex, CK_BYTE *bytes, int length) {
  for (int i = 0; i < length; i++) must(sscanf(hex + 2 * i, "%2hhx", &bytes[i]) == 1, "reading the arguments", 0);
}

/* By serial, never by position. */
static CK_SLOT_ID find_slot(const char *serial) {
  CK_SLOT_ID slots[64];
  CK_ULONG count = 64;
  CALL(C_GetSlotList, 1, slots, &count);
  for (CK_ULONG i = 0; i < count; i++) {
    CK_TOKEN_INFO info;
    CALL(C_GetTokenInfo, slots[i], &info);
    if (strncmp((char *)info.serialNumber, serial, strlen(serial)) == 0) return slots[i];
  }
  must(0, "finding the token", CKR_SLOT_ID_INVALID);
  return 0;
}

static CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE session, const char *hex, CK_ULONG class) {
  CK_BYTE id[16];
  read_hex(hex, id, sizeof id);
  CK_ULONG count = 0;
  CK_OBJECT_HANDLE found = 0;
  struct raw_attribute want[2] = {{attribute_class, &class, sizeof class}, {attribute_id, id, sizeof id}};
  CALL(C_FindObjectsInit, session, want, 2);
  CALL(C_FindObjects, session, &found, 1, &count);
  CALL(C_FindObjectsFinal, session);
  must(count == 1, "finding the key", 0);
  return found;
}

int main(int argc, char **argv) {
  must(argc == 9 && strlen(argv[3]) == 32 && strlen(argv[5]) == 64, "reading the arguments", 0);
  int threads = atoi(argv[6]);
  double seconds = atof(argv[7]) / 1000;
  must(threads >= 1 && threads <= MOST_THREADS && seconds > 0 && seconds <= 60, "reading the arguments", 0);
  verifies = strcmp(argv[8], "verify") == 0;
  int is_rsa = strcmp(argv[4], "rsa") == 0;
  mechanism.type = is_rsa ? rsa_pkcs : ecdsa;
  CK_ULONG before = is_rsa ? sizeof digest_info : 0;
  memcpy(input, digest_info, before);
  read_hex(argv[5], input + before, 32);
  input_length = before + 32;

  char pin[300] = "";
  must(fgets(pin, sizeof pin, stdin) != NULL, "reading the PIN", 0);
  pin[strcspn(pin, "\n")] = '\0';

  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  must(library != NULL, "dlopen", 0);
  CK_RV (*get)(CK_FUNCTION_LIST **);
  *(void **)&get = dlsym(library, "C_GetFunctionList");
  must(get != NULL && get(&p11) == CKR_OK, "C_GetFunctionList", 0);
  struct raw_initialize locking = {.flags = os_locking_ok};
  CALL(C_Initialize, &locking);
  CK_SLOT_ID slot = find_slot(argv[2]);
  for (int i = 0; i < threads; i++) CALL(C_OpenSession, slot, rw_and_serial, NULL, NULL, &workers[i].session);
  CALL(C_Login, workers[0].session, CKU_USER, (CK_BYTE *)pin, strlen(pin));
  explicit_bzero(pin, sizeof pin);
  key = find_key(workers[0].session, argv[3], class_private_key);
  if (verifies) public_key = find_key(workers[0].session, argv[3], class_public_key);

  for (int i = 0; i < threads; i++) must(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0, "a thread", 0);
  rest(0.1); /* caches and lazily made things are warm from here on */
  double began = now();
  __atomic_store_n(&counting, 1, __ATOMIC_RELAXED);
  rest(seconds);
  unsigned long signs = counted(threads);
  double took = now() - began;
  __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < threads; i++) pthread_join(workers[i].thread, NULL);

  printf("{\"signs\":%lu,\"seconds\":%.6f,\"signature\":\"", signs, took);
  for (CK_ULONG i = 0; i < workers[0].length; i++) printf("%02x", workers[0].signature[i]);
  printf("\"}\n");
  p11->C_Finalize(NULL);
  return 0;
}
