/* The moods of the partition as this process has read them, and what becomes of a call while the token is gone. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "luna.h"

static const struct control unread = { .quiet = 1 }; /* its version is no version: the first call reads */
const struct control *control = &unread;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static uint32_t losses_known;

void control_begin(void) {
  losses_known = __atomic_load_n(&state->losses, __ATOMIC_ACQUIRE);
  __atomic_store_n(&control, &unread, __ATOMIC_RELEASE);
}

void control_changed(void) { __atomic_fetch_add(&state->control_version, 1, __ATOMIC_RELEASE); }

static int read_withheld(CK_ULONG *numbers) {
  char path[1100];
  snprintf(path, sizeof path, "%s.withheld", conf.state);
  FILE *file = fopen(path, "re");
  int count = 0;
  while (file != NULL && count < WITHHELD_LIMIT && fscanf(file, "%lx", &numbers[count]) == 1) count++;
  if (file != NULL) fclose(file);
  return count;
}

/* Not freed when it is replaced: another thread may still look at it, and it is a page at most. */
const struct control *control_load(void) {
  uint32_t version = __atomic_load_n(&state->control_version, __ATOMIC_ACQUIRE);
  pthread_mutex_lock(&loading);
  const struct control *now = control;
  struct control *made = now->version == version && now != &unread ? NULL : calloc(1, sizeof *made);
  if (made != NULL) {
    made->version = version;
    made->initial_pin = state->initial_pin != 0;
    made->absent = state->absent != 0;
    made->lost = state->losses != losses_known;
    made->gcm = (enum gcm)state->gcm;
    made->vendor_wrap = state->vendor_wrap != 0;
    made->vendor_rsa = state->vendor_rsa != 0;
    made->refuse_private_wrap = state->refuse_private_wrap != 0;
    made->rule_count = faults_read(made->rule);
    made->withheld_count = read_withheld(made->withheld);
    made->quiet = !(made->initial_pin || made->absent || made->lost || made->gcm != CALLER_IV || made->vendor_wrap
      || made->vendor_rsa || made->refuse_private_wrap || made->rule_count > 0 || made->withheld_count > 0);
    __atomic_store_n(&control, made, __ATOMIC_RELEASE);
    now = made;
  }
  pthread_mutex_unlock(&loading);
  return now;
}

/* What a client says whose network went away: the library still answers for itself, nothing beyond it does. */
static CK_RV when_gone(const struct control *now, enum function_number fn) {
  switch (fn) {
    case FN_C_Initialize: case FN_C_Finalize: case FN_C_GetInfo: case FN_C_GetFunctionList:
    case FN_C_GetSlotList: case FN_C_GetSlotInfo: case FN_C_WaitForSlotEvent:
      return CKR_OK;
    case FN_C_GetTokenInfo: case FN_C_GetMechanismList: case FN_C_GetMechanismInfo:
    case FN_C_InitToken: case FN_C_OpenSession: case FN_C_CloseAllSessions:
      return now->absent ? CKR_TOKEN_NOT_PRESENT : CKR_DEVICE_ERROR;
    default:
      return CKR_DEVICE_ERROR;
  }
}

CK_RV trouble_at(const struct control *now, enum function_number fn) {
  CK_RV rv = now->rule_count > 0 ? fault_at(now, fn) : CKR_OK;
  return rv == CKR_OK && (now->absent || now->lost) ? when_gone(now, fn) : rv;
}
