/* One slot with one token: what the guide's administrator sees with lunacm (items 5, 9, 14 and 15). */
#include <string.h>
#include "luna.h"

#define STORAGE 159744UL /* bytes, guide item 15 */

CK_SLOT_ID soft_slot;

static void fill(CK_UTF8CHAR *field, size_t size, const char *text) {
  memset(field, ' ', size);
  memcpy(field, text, strlen(text) < size ? strlen(text) : size);
}

static int known(CK_SLOT_ID slot) { return slot == state->slot; }

CK_RV own_C_GetInfo(CK_INFO *info) {
  CK_RV rv = soft->C_GetInfo(info);
  if (rv != CKR_OK) return rv;
  fill(info->manufacturerID, sizeof info->manufacturerID, "SafeNet");
  fill(info->libraryDescription, sizeof info->libraryDescription, "Chrystoki");
  info->libraryVersion = (CK_VERSION){ 7, 0 };
  return CKR_OK;
}

CK_RV own_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count) {
  CK_ULONG asked = 0;
  CK_RV rv = soft->C_GetSlotList(present, NULL, &asked); /* says so when C_Initialize is missing */
  if (rv != CKR_OK) return rv;
  if (count == NULL) return CKR_ARGUMENTS_BAD;
  CK_ULONG room = *count;
  *count = 1;
  if (slots == NULL) return CKR_OK;
  if (room < 1) return CKR_BUFFER_TOO_SMALL;
  slots[0] = state->slot;
  return CKR_OK;
}

CK_RV own_C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info) {
  if (!known(slot)) return CKR_SLOT_ID_INVALID;
  CK_RV rv = soft->C_GetSlotInfo(soft_slot, info);
  if (rv != CKR_OK) return rv;
  fill(info->slotDescription, sizeof info->slotDescription, "Net Token Slot");
  fill(info->manufacturerID, sizeof info->manufacturerID, "Safenet, Inc.");
  info->flags = CKF_TOKEN_PRESENT | CKF_HW_SLOT;
  info->hardwareVersion = (CK_VERSION){ 0, 0 };
  info->firmwareVersion = (CK_VERSION){ 7, 1 };
  return CKR_OK;
}

/* COUNT_LOW from the first failure on, FINAL_TRY with one try left, LOCKED with none (PKCS#11 2.40, table 9). */
static CK_FLAGS pin_flags(uint32_t failures, uint32_t lock_at, CK_FLAGS low, CK_FLAGS final_try, CK_FLAGS locked) {
  if (failures == 0) return 0;
  return low | (failures >= lock_at ? locked : failures + 1 == lock_at ? final_try : 0);
}

CK_RV own_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
  if (!known(slot)) return CKR_SLOT_ID_INVALID;
  state_lock(); /* SoftHSM reads a file that a login elsewhere is just rewriting */
  CK_RV rv = soft->C_GetTokenInfo(soft_slot, info);
  uint32_t failures = state->failures, so_failures = state->so_failures;
  state_unlock();
  if (rv != CKR_OK) return rv;
  fill(info->manufacturerID, sizeof info->manufacturerID, "Safenet, Inc.");
  fill(info->model, sizeof info->model, "Cryptovisor7");
  fill(info->serialNumber, sizeof info->serialNumber, conf.serial);
  info->flags &= ~CKF_EVERY_PIN_STATE;
  info->flags |= pin_flags(failures, state->lock_at, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED);
  info->flags |= pin_flags(so_failures, SO_LOCK_AT, CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED);
  info->ulMinPinLen = SHORTEST_PIN;
  info->ulTotalPublicMemory = info->ulFreePublicMemory = STORAGE;
  info->ulTotalPrivateMemory = info->ulFreePrivateMemory = STORAGE;
  info->hardwareVersion = (CK_VERSION){ 0, 0 };
  info->firmwareVersion = (CK_VERSION){ 7, 1 }; /* two bytes: 7.1.3 cannot be said here */
  return CKR_OK;
}

CK_RV own_C_GetMechanismList(CK_SLOT_ID slot, CK_ULONG *list, CK_ULONG *count) {
  return known(slot) ? soft->C_GetMechanismList(soft_slot, list, count) : CKR_SLOT_ID_INVALID;
}

CK_RV own_C_GetMechanismInfo(CK_SLOT_ID slot, CK_ULONG type, void *info) {
  return known(slot) ? soft->C_GetMechanismInfo(soft_slot, type, info) : CKR_SLOT_ID_INVALID;
}

CK_RV own_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *app, void *notify, CK_SESSION_HANDLE *s) {
  return known(slot) ? soft->C_OpenSession(soft_slot, flags, app, notify, s) : CKR_SLOT_ID_INVALID;
}

CK_RV own_C_CloseAllSessions(CK_SLOT_ID slot) {
  return known(slot) ? soft->C_CloseAllSessions(soft_slot) : CKR_SLOT_ID_INVALID;
}

CK_RV own_C_GetSessionInfo(CK_SESSION_HANDLE s, CK_SESSION_INFO *info) {
  CK_RV rv = soft->C_GetSessionInfo(s, info);
  if (rv == CKR_OK) info->slotID = state->slot;
  return rv;
}

CK_RV own_C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved) {
  CK_RV rv = soft->C_WaitForSlotEvent(flags, slot, reserved);
  if (rv == CKR_OK && slot != NULL) *slot = state->slot;
  return rv;
}
