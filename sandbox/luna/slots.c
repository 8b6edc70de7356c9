/*
 * What the guide's administrator sees with lunacm (items 5, 9, 14 and 15): one slot with one token. Where the mood says so
 * more slots are listed, which show the same partition under other names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "luna.h"

#define STORAGE 159744UL /* bytes, guide item 15 */

CK_SLOT_ID soft_slot;

static void fill(CK_UTF8CHAR *field, size_t size, const char *text) {
  memset(field, ' ', size);
  memcpy(field, text, strlen(text) < size ? strlen(text) : size);
}

/* How many slots are listed. */
static uint32_t listed(void) {
  uint32_t asked = state->slots;
  return asked < 1 ? 1 : asked > SLOT_LIMIT ? SLOT_LIMIT : asked;
}

int slot_known(CK_SLOT_ID slot) { return slot >= state->slot && slot - state->slot < listed(); }

/* The virtual slot of an HA group comes behind its members, or is the only one (HAOnly = 1). */
static int is_group(uint32_t index) {
  return state->others == HA_ONLY ? index == 0 : state->others == HA_GROUP && index > 0 && index == listed() - 1;
}

/* Label, serial and model of a slot; lunacm shows "1" before the first member's serial as the serial of a group. */
static void name_token(CK_TOKEN_INFO *info, uint32_t index) {
  char label[40], shown[48], serial[24];
  snprintf(label, sizeof label, "%.32s", state->label);
  if (label[0] == '\0') {
    size_t length = sizeof info->label;
    while (length > 0 && info->label[length - 1] == ' ') length--;
    snprintf(label, sizeof label, "%.*s", (int)length, (const char *)info->label);
  }
  unsigned long long number = strtoull(conf.serial, NULL, 10) + (state->swapped ? 100 : 0);
  if (is_group(index)) {
    snprintf(shown, sizeof shown, "%s-HA", label);
    snprintf(serial, sizeof serial, "1%llu", number);
  } else {
    if (index > 0 && state->others != SAME_LABEL) snprintf(shown, sizeof shown, "%s-%u", label, index + 1);
    else snprintf(shown, sizeof shown, "%s", label);
    snprintf(serial, sizeof serial, "%llu", number + index);
  }
  fill(info->label, sizeof info->label, state->uninitialised ? "" : shown);
  fill(info->serialNumber, sizeof info->serialNumber, serial);
  fill(info->model, sizeof info->model, is_group(index) ? "LunaVirtual" : "Cryptovisor7");
}

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
  *count = present && state->absent ? 0 : listed();
  if (slots == NULL) return CKR_OK;
  if (room < *count) return CKR_BUFFER_TOO_SMALL;
  for (CK_ULONG i = 0; i < *count; i++) slots[i] = state->slot + i;
  return CKR_OK;
}

CK_RV own_C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info) {
  if (!slot_known(slot)) return CKR_SLOT_ID_INVALID;
  CK_RV rv = soft->C_GetSlotInfo(soft_slot, info);
  if (rv != CKR_OK) return rv;
  fill(info->slotDescription, sizeof info->slotDescription, "Net Token Slot");
  fill(info->manufacturerID, sizeof info->manufacturerID, "Safenet, Inc.");
  info->flags = CKF_HW_SLOT | (state->absent ? 0 : CKF_TOKEN_PRESENT);
  info->hardwareVersion = (CK_VERSION){ 0, 0 };
  info->firmwareVersion = (CK_VERSION){ 7, 1 };
  return CKR_OK;
}

/* What is shown whatever was counted; NULL for COUNTED. */
static const CK_FLAGS *shown_pin_flags(void) {
  static const CK_FLAGS flags[] = {
    [NONE] = 0,
    [COUNT_LOW] = CKF_USER_PIN_COUNT_LOW,
    [FINAL_TRY] = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY,
    [LOCKED] = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_LOCKED
  };
  uint32_t kind = state->pin_flags;
  return kind == COUNTED || kind > LOCKED ? NULL : &flags[kind];
}

/* COUNT_LOW from the first failure on, FINAL_TRY with one try left, LOCKED with none (PKCS#11 2.40, table 9). */
static CK_FLAGS pin_flags(uint32_t failures, uint32_t lock_at, CK_FLAGS low, CK_FLAGS final_try, CK_FLAGS locked) {
  if (failures == 0) return 0;
  return low | (failures >= lock_at ? locked : failures + 1 == lock_at ? final_try : 0);
}

CK_RV own_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info) {
  if (!slot_known(slot)) return CKR_SLOT_ID_INVALID;
  state_lock(); /* SoftHSM reads a file that a login elsewhere is just rewriting */
  CK_RV rv = soft->C_GetTokenInfo(soft_slot, info);
  uint32_t failures = state->failures, so_failures = state->so_failures;
  state_unlock();
  if (rv != CKR_OK) return rv;
  fill(info->manufacturerID, sizeof info->manufacturerID, "Safenet, Inc.");
  name_token(info, (uint32_t)(slot - state->slot));
  info->flags &= ~CKF_EVERY_PIN_STATE;
  if (state->uninitialised) info->flags &= ~(CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED);
  if (state->no_crypto_officer) info->flags &= ~CKF_USER_PIN_INITIALIZED;
  const CK_FLAGS *shown = shown_pin_flags();
  info->flags |= shown != NULL ? *shown
    : pin_flags(failures, state->lock_at, CKF_USER_PIN_COUNT_LOW, CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED);
  info->flags |= pin_flags(so_failures, SO_LOCK_AT, CKF_SO_PIN_COUNT_LOW, CKF_SO_PIN_FINAL_TRY, CKF_SO_PIN_LOCKED);
  info->ulMinPinLen = SHORTEST_PIN;
  info->ulTotalPublicMemory = info->ulTotalPrivateMemory = STORAGE;
  info->ulFreePublicMemory = info->ulFreePrivateMemory = state->free_bytes;
  if (state->max_sessions > 0) {
    info->ulMaxSessionCount = info->ulMaxRwSessionCount = state->max_sessions;
    info->ulSessionCount = info->ulRwSessionCount = sessions_open();
  }
  info->hardwareVersion = (CK_VERSION){ 0, 0 };
  info->firmwareVersion = (CK_VERSION){ 7, 1 }; /* two bytes: 7.1.3 cannot be said here */
  return CKR_OK;
}

CK_RV own_C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved) {
  CK_RV rv = soft->C_WaitForSlotEvent(flags, slot, reserved);
  if (rv == CKR_OK && slot != NULL) *slot = state->slot;
  return rv;
}
