/*
 * A PKCS#11 module that looks like the guide's Luna partition (slot 3, HSMoDnFIPS, Cryptovisor7) and forwards to
 * SoftHSM. This file holds the start and end of the library, and the table of functions that it hands out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include "luna.h"

#define EXPORTED __attribute__((visibility("default")))

CK_FUNCTION_LIST *soft;
struct conf conf;
static int initialised;
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

/* RTLD_DEEPBIND: node exports its own OpenSSL, and SoftHSM would bind to that one instead of the system's. */
static CK_FUNCTION_LIST *load_soft_hsm(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (library == NULL) return NULL;
  CK_RV (*get)(CK_FUNCTION_LIST **);
  *(void **)&get = dlsym(library, "C_GetFunctionList");
  CK_FUNCTION_LIST *list = NULL;
  return get != NULL && get(&list) == CKR_OK ? list : NULL;
}

/* Before every C_Initialize that starts something: the configuration may be another one than last time. */
static CK_RV attach(void) {
  struct conf read;
  if (conf_read(&read) != 0 || state_open(read.state) != 0) return CKR_GENERAL_ERROR;
  CK_FUNCTION_LIST *list = load_soft_hsm(read.soft_hsm_library);
  if (list == NULL) return CKR_GENERAL_ERROR;
  conf = read;
  soft = list;
  return CKR_OK;
}

/* `now`: the moods for this call; NULL for C_GetFunctionList, which comes before any configuration. */
static inline CK_RV enter(enum function_number fn, const struct control **now) {
  if (fn == FN_C_GetFunctionList) return CKR_OK;
  if (fn == FN_C_Initialize) {
    pthread_mutex_lock(&starting);
    CK_RV rv = initialised ? CKR_OK : attach();
    pthread_mutex_unlock(&starting);
    if (rv != CKR_OK) return rv;
  }
  if (soft == NULL) return CKR_CRYPTOKI_NOT_INITIALIZED;
  *now = control_now();
  return (*now)->quiet ? CKR_OK : trouble_at(*now, fn);
}

/* SoftHSM always lists one blank slot more; the partition is the initialised one, or the blank one before `par init`. */
static CK_RV find_soft_slot(void) {
  CK_SLOT_ID slots[16];
  CK_ULONG count = 16;
  CK_RV rv = soft->C_GetSlotList(1, slots, &count);
  if (rv != CKR_OK || count == 0) return rv != CKR_OK ? rv : CKR_GENERAL_ERROR;
  soft_slot = slots[0];
  for (CK_ULONG i = 0; i < count; i++) {
    CK_TOKEN_INFO info;
    if (soft->C_GetTokenInfo(slots[i], &info) != CKR_OK || !(info.flags & CKF_TOKEN_INITIALIZED)) continue;
    soft_slot = slots[i];
    break;
  }
  return CKR_OK;
}

CK_RV own_C_Initialize(void *args) {
  pthread_mutex_lock(&starting);
  state_lock(); /* SoftHSM reads its token files here and may not see one that a login elsewhere is just rewriting */
  setenv("SOFTHSM2_CONF", conf.soft_hsm_conf, 1);
  CK_RV rv = soft->C_Initialize(args);
  if (rv == CKR_OK) {
    rv = find_soft_slot();
    if (rv == CKR_OK) initialised = 1, control_begin();
    else soft->C_Finalize(NULL);
  }
  state_unlock();
  pthread_mutex_unlock(&starting);
  return rv;
}

CK_RV own_C_Finalize(void *reserved) {
  pthread_mutex_lock(&starting);
  CK_RV rv = soft->C_Finalize(reserved);
  if (rv == CKR_OK) initialised = 0, sessions_forget(), gcm_forget_all();
  pthread_mutex_unlock(&starting);
  return rv;
}

#define AS_WRAPPER(kind, name, params, args) \
  static CK_RV luna_##name params { \
    const struct control *now = NULL; \
    CK_RV rv = enter(FN_##name, &now); \
    if (rv != CKR_OK) return rv; \
    BODY_##kind(name, args) \
  }
#define WITH_ROLE if (!now->quiet && (rv = role_ready(now, s)) != CKR_OK) return rv;
#define BODY_OWN(name, args) return own_##name args;
#define BODY_PASS(name, args) return soft->name args;
#define BODY_ROLE(name, args) WITH_ROLE return soft->name args;
#define BODY_MECH(name, args) WITH_ROLE \
  CK_MECHANISM real; \
  if (!now->quiet && (rv = mechanism_for(now, &mechanism, &real)) != CKR_OK) return rv; \
  return soft->name args;
#define BODY_MOOD(name, args) WITH_ROLE return now->quiet ? soft->name args : own_##name args;
EVERY_FUNCTION(AS_WRAPPER)

#define AS_ENTRY(kind, name, params, args) .name = luna_##name,
static CK_FUNCTION_LIST functions = { .version = { 2, 40 }, EVERY_FUNCTION(AS_ENTRY) };

CK_RV own_C_GetFunctionList(CK_FUNCTION_LIST **list) {
  if (list == NULL) return CKR_ARGUMENTS_BAD;
  *list = &functions;
  return CKR_OK;
}

EXPORTED CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) { return own_C_GetFunctionList(list); }

/* Luna's own way to say all three numbers; CK_VERSION has room for two. */
EXPORTED CK_RV CA_GetFirmwareVersion(CK_SLOT_ID slot, CK_ULONG *major, CK_ULONG *minor, CK_ULONG *patch) {
  if (state == NULL) return CKR_CRYPTOKI_NOT_INITIALIZED;
  if (!slot_known(slot)) return CKR_SLOT_ID_INVALID;
  *major = 7, *minor = 1, *patch = 3;
  return CKR_OK;
}
