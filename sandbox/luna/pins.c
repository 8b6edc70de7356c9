/* The PIN behaviour that SoftHSM has not: wrong ones are counted and lock, the initial one expires. */
#include <stddef.h>
#include "luna.h"

/*
 * Asks SoftHSM with a PIN. The try is charged before the question, so a process killed in between has used it up; it is given back
 * when the answer was not about the PIN. For the right PIN nothing is charged: an HSM carries out what it was sent, whatever becomes
 * of who sent it, and is left with no failure. Needs state_lock().
 */
#define CHARGED(rv, counter, lock_at, charge, question) do { \
  uint32_t before = state->counter; \
  if (before >= (lock_at)) { (rv) = CKR_PIN_LOCKED; break; } \
  state->counter = before + (charge); \
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

static uint64_t turned(uint64_t value, int by) { return value << by | value >> (64 - by); }

/* SipHash-2-4 (Aumasson, Bernstein) under the partition's own key; pin-mac.ts computes the same. */
static uint64_t mac_of(const CK_BYTE *pin, CK_ULONG length) {
  const uint32_t *k = state->pin_key;
  uint64_t k0 = k[0] | (uint64_t)k[1] << 32, k1 = k[2] | (uint64_t)k[3] << 32;
  uint64_t v[4] = {
    k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573
  };
  for (CK_ULONG at = 0; at <= length + 8; at += 8) {
    int last = at > length; /* behind the last block: four rounds to end with */
    uint64_t block = 0;
    for (CK_ULONG i = 0; !last && i < 8; i++)
      block |= (uint64_t)(at + i < length ? pin[at + i] : i == 7 ? length & 0xff : 0) << (8 * i);
    if (last) v[2] ^= 0xff;
    v[3] ^= block;
    for (int round = last ? 4 : 2; round > 0; round--) {
      v[0] += v[1], v[1] = turned(v[1], 13) ^ v[0], v[0] = turned(v[0], 32);
      v[2] += v[3], v[3] = turned(v[3], 16) ^ v[2];
      v[0] += v[3], v[3] = turned(v[3], 21) ^ v[0];
      v[2] += v[1], v[1] = turned(v[1], 17) ^ v[2], v[2] = turned(v[2], 32);
    }
    v[0] ^= block;
  }
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Needs the lock. PINs beyond the table are not told apart, and not counted. */
static void count_pin(const CK_BYTE *pin, CK_ULONG length, uint32_t logins, uint32_t rejections) {
  uint64_t mac = mac_of(pin, pin == NULL ? 0 : length);
  for (int i = 0; i < PIN_LIMIT; i++) {
    int free = state->pins[i].logins + state->pins[i].rejections == 0;
    if (free) state->pins[i].mac[0] = (uint32_t)mac, state->pins[i].mac[1] = (uint32_t)(mac >> 32);
    if (state->pins[i].mac[0] != (uint32_t)mac || state->pins[i].mac[1] != (uint32_t)(mac >> 32)) continue;
    state->pins[i].logins += logins, state->pins[i].rejections += rejections;
    return;
  }
}

static int is_right(const CK_BYTE *pin, CK_ULONG length) {
  uint64_t mac = mac_of(pin, pin == NULL ? 0 : length);
  return state->right_pin[0] == (uint32_t)mac && state->right_pin[1] == (uint32_t)(mac >> 32);
}

static void is_now_right(const CK_BYTE *pin, CK_ULONG length) {
  uint64_t mac = mac_of(pin, pin == NULL ? 0 : length);
  state->right_pin[0] = (uint32_t)mac, state->right_pin[1] = (uint32_t)(mac >> 32);
}

CK_RV own_C_Login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pinLen) {
  CK_RV rv;
  if (user == CKU_CRYPTO_USER) return CKR_USER_PIN_NOT_INITIALIZED; /* `role init -name Crypto User` was never done */
  if (user != CKU_USER && user != CKU_SO) return soft->C_Login(s, user, pin, pinLen);
  state_lock();
  if (user == CKU_USER) {
    state->logins++;
    count_pin(pin, pinLen, 1, 0);
    if (state->uninitialised || state->no_crypto_officer) rv = CKR_USER_PIN_NOT_INITIALIZED;
    else CHARGED(rv, failures, state->lock_at, is_right(pin, pinLen) ? 0 : 1, soft->C_Login(s, user, pin, pinLen));
    if (rv == CKR_PIN_INCORRECT) state->rejections++, count_pin(pin, pinLen, 0, 1);
  } else {
    state->so_logins++;
    CHARGED(rv, so_failures, SO_LOCK_AT, 1, soft->C_Login(s, user, pin, pinLen));
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
  if (rv == CKR_OK) {
    state->failures = 0, state->no_crypto_officer = 0, state->initial_pin = 1, is_now_right(pin, pinLen);
    control_changed();
  }
  state_unlock();
  return rv;
}

CK_RV own_C_SetPIN(CK_SESSION_HANDLE s, CK_BYTE *old, CK_ULONG oldLen, CK_BYTE *pin, CK_ULONG pinLen) {
  CK_RV rv;
  if (pinLen < SHORTEST_PIN) return CKR_PIN_LEN_RANGE;
  state_lock();
  if (state_of(s) == CKS_RW_SO_FUNCTIONS) {
    CHARGED(rv, so_failures, SO_LOCK_AT, 1, soft->C_SetPIN(s, old, oldLen, pin, pinLen));
  } else {
    CHARGED(rv, failures, state->lock_at, is_right(old, oldLen) ? 0 : 1, soft->C_SetPIN(s, old, oldLen, pin, pinLen));
    if (rv == CKR_PIN_INCORRECT) state->rejections++, count_pin(old, oldLen, 0, 1);
    if (rv == CKR_OK) state->initial_pin = 0, is_now_right(pin, pinLen), control_changed();
  }
  state_unlock();
  return rv;
}

/* `par init`: the label is the only thing of the old partition that may stay the same; serial and slot do. */
CK_RV own_C_InitToken(CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG pinLen, CK_UTF8CHAR *label) {
  CK_RV rv;
  if (!slot_known(slot)) return CKR_SLOT_ID_INVALID;
  if (pinLen < SHORTEST_PIN) return CKR_PIN_LEN_RANGE;
  state_lock();
  CHARGED(rv, so_failures, SO_LOCK_AT, 1, soft->C_InitToken(soft_slot, pin, pinLen, label));
  if (rv == CKR_OK) state->failures = 0, state->initial_pin = 0, state->uninitialised = 0, control_changed();
  state_unlock();
  return rv;
}

/* The first role-dependent call after a login with the initial password fails, not the login itself. */
CK_RV role_ready(const struct control *now, CK_SESSION_HANDLE s) {
  if (!now->initial_pin) return CKR_OK;
  CK_STATE role = state_of(s);
  return role == CKS_RW_USER_FUNCTIONS || role == CKS_RO_USER_FUNCTIONS ? CKR_PIN_EXPIRED : CKR_OK;
}
