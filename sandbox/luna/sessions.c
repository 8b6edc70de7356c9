/* Sessions: as many as the mood allows, counted for each process as a Luna counts for each application. */
#include "luna.h"

static uint32_t open_now;

CK_ULONG sessions_open(void) { return __atomic_load_n(&open_now, __ATOMIC_RELAXED); }

void sessions_forget(void) { __atomic_store_n(&open_now, 0, __ATOMIC_RELAXED); }

CK_RV own_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *app, void *notify, CK_SESSION_HANDLE *s) {
  if (!slot_known(slot)) return CKR_SLOT_ID_INVALID;
  uint32_t most = state->max_sessions;
  uint32_t before = __atomic_fetch_add(&open_now, 1, __ATOMIC_RELAXED);
  CK_RV rv = most > 0 && before >= most ? CKR_SESSION_COUNT : soft->C_OpenSession(soft_slot, flags, app, notify, s);
  if (rv != CKR_OK) __atomic_fetch_sub(&open_now, 1, __ATOMIC_RELAXED);
  return rv;
}

CK_RV own_C_CloseSession(CK_SESSION_HANDLE s) {
  CK_RV rv = soft->C_CloseSession(s);
  if (rv == CKR_OK) __atomic_fetch_sub(&open_now, 1, __ATOMIC_RELAXED), gcm_forget(s);
  return rv;
}

CK_RV own_C_CloseAllSessions(CK_SLOT_ID slot) {
  if (!slot_known(slot)) return CKR_SLOT_ID_INVALID;
  CK_RV rv = soft->C_CloseAllSessions(soft_slot);
  if (rv == CKR_OK) sessions_forget(), gcm_forget_all();
  return rv;
}

CK_RV own_C_GetSessionInfo(CK_SESSION_HANDLE s, CK_SESSION_INFO *info) {
  CK_RV rv = soft->C_GetSessionInfo(s, info);
  if (rv == CKR_OK) info->slotID = state->slot;
  return rv;
}
