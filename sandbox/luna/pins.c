/* The PIN behaviour that SoftHSM has not: wrong ones are counted and lock, the initial one expires. */
#include "luna.h"

/*
 * Asks SoftHSM with a PIN. The try is charged before the question, as a card does, so a process killed in between
 * has at worst used up one try; it is given back when the answer was not about the PIN. Needs state_lock().
 */
#define CHARGED(rv, counter, lock_at, question) do { \
  uint32_t before = state->counter; \
  if (before >= (lock_at)) { (rv) = CKR_PIN_LOCKED; break; } \
  state->counter = before + 1; \
  journal_begin(); \
  (rv) = (question); \
  journal_end(); \
  if ((rv) == CKR_OK) state->counter = 0; \
  else if ((rv) != CKR_PIN_INCORRECT) state->counter = before; \
} while (0)

static CK_STATE state_of(CK_SESSION_HANDLE s) {
  CK_SESSION_INFO info;
  return soft->C_GetSessionInfo(s, &info) == CKR_OK ? info.state : 0;
}

CK_RV own_C_Login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pinLen) {
  CK_RV rv;
  if (user == CKU_CRYPTO_USER) return CKR_USER_PIN_NOT_INITIALIZED; /* `role init -name Crypto User` was never done */
  if (user != CKU_USER && user != CKU_SO) return soft->C_Login(s, user, pin, pinLen);
  state_lock();
  if (user == CKU_USER) {
    state->logins++;
    CHARGED(rv, failures, state->lock_at, soft->C_Login(s, user, pin, pinLen));
    if (rv == CKR_PIN_INCORRECT) state->rejections++;
  } else {
    state->so_logins++;
    CHARGED(rv, so_failures, SO_LOCK_AT, soft->C_Login(s, user, pin, pinLen));
  }
  state_unlock();
  return rv;
}

/* `role init -name Crypto Officer` and `role resetpw`: whatever the SO sets must be changed at once. */
CK_RV own_C_InitPIN(CK_SESSION_HANDLE s, CK_BYTE *pin, CK_ULONG pinLen) {
  if (pinLen < SHORTEST_PIN) return CKR_PIN_LEN_RANGE;
  state_lock();
  journal_begin();
  CK_RV rv = soft->C_InitPIN(s, pin, pinLen);
  journal_end();
  if (rv == CKR_OK) state->failures = 0, state->initial_pin = 1;
  state_unlock();
  return rv;
}

CK_RV own_C_SetPIN(CK_SESSION_HANDLE s, CK_BYTE *old, CK_ULONG oldLen, CK_BYTE *pin, CK_ULONG pinLen) {
  CK_RV rv;
  if (pinLen < SHORTEST_PIN) return CKR_PIN_LEN_RANGE;
  state_lock();
  if (state_of(s) == CKS_RW_SO_FUNCTIONS) {
    CHARGED(rv, so_failures, SO_LOCK_AT, soft->C_SetPIN(s, old, oldLen, pin, pinLen));
  } else {
    CHARGED(rv, failures, state->lock_at, soft->C_SetPIN(s, old, oldLen, pin, pinLen));
    if (rv == CKR_PIN_INCORRECT) state->rejections++;
    if (rv == CKR_OK) state->initial_pin = 0;
  }
  state_unlock();
  return rv;
}

/* `par init`: the label is the only thing of the old partition that may stay the same; serial and slot do. */
CK_RV own_C_InitToken(CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG pinLen, CK_UTF8CHAR *label) {
  CK_RV rv;
  if (slot != state->slot) return CKR_SLOT_ID_INVALID;
  if (pinLen < SHORTEST_PIN) return CKR_PIN_LEN_RANGE;
  state_lock();
  CHARGED(rv, so_failures, SO_LOCK_AT, soft->C_InitToken(soft_slot, pin, pinLen, label));
  if (rv == CKR_OK) state->failures = 0, state->initial_pin = 0;
  state_unlock();
  return rv;
}

/* The first role-dependent call after a login with the initial password fails, not the login itself. */
CK_RV role_ready(CK_SESSION_HANDLE s) {
  if (__atomic_load_n(&state->initial_pin, __ATOMIC_RELAXED) == 0) return CKR_OK;
  CK_STATE now = state_of(s);
  return now == CKS_RW_USER_FUNCTIONS || now == CKS_RO_USER_FUNCTIONS ? CKR_PIN_EXPIRED : CKR_OK;
}
