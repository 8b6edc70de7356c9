/** Names of the mechanisms that matter here, by number (PKCS#11 v2.40; Luna's own from cryptoki_v2.h). */
const names: Readonly<Record<number, string>> = {
  0: 'CKM_RSA_PKCS_KEY_PAIR_GEN',
  1: 'CKM_RSA_PKCS',
  9: 'CKM_RSA_PKCS_OAEP',
  10: 'CKM_RSA_X9_31_KEY_PAIR_GEN',
  13: 'CKM_RSA_PKCS_PSS',
  64: 'CKM_SHA256_RSA_PKCS',
  65: 'CKM_SHA384_RSA_PKCS',
  66: 'CKM_SHA512_RSA_PKCS',
  67: 'CKM_SHA256_RSA_PKCS_PSS',
  68: 'CKM_SHA384_RSA_PKCS_PSS',
  69: 'CKM_SHA512_RSA_PKCS_PSS',
  592: 'CKM_SHA256',
  608: 'CKM_SHA384',
  624: 'CKM_SHA512',
  593: 'CKM_SHA256_HMAC',
  609: 'CKM_SHA384_HMAC',
  625: 'CKM_SHA512_HMAC',
  848: 'CKM_GENERIC_SECRET_KEY_GEN',
  4160: 'CKM_EC_KEY_PAIR_GEN',
  4161: 'CKM_ECDSA',
  4162: 'CKM_ECDSA_SHA1',
  4163: 'CKM_ECDSA_SHA224',
  4164: 'CKM_ECDSA_SHA256',
  4165: 'CKM_ECDSA_SHA384',
  4166: 'CKM_ECDSA_SHA512',
  4176: 'CKM_ECDH1_DERIVE',
  4224: 'CKM_AES_KEY_GEN',
  4225: 'CKM_AES_ECB',
  4226: 'CKM_AES_CBC',
  4229: 'CKM_AES_CBC_PAD',
  4230: 'CKM_AES_CTR',
  4231: 'CKM_AES_GCM',
  4232: 'CKM_AES_CCM',
  4234: 'CKM_AES_CMAC',
  8457: 'CKM_AES_KEY_WRAP',
  8458: 'CKM_AES_KEY_WRAP_PAD',
  8459: 'CKM_AES_KEY_WRAP_KWP',
  2147483970: 'CKM_RSA_FIPS_186_3_AUX_PRIME_KEY_PAIR_GEN',
  2147483971: 'CKM_RSA_FIPS_186_3_PRIME_KEY_PAIR_GEN',
  2147484016: 'CKM_AES_KW (Luna)',
  2147484017: 'CKM_AES_KWP (Luna)'
}

/** An unknown number keeps its number. */
export function mechanismName(number: number): string {
  return names[number] ?? `CKM_0x${number.toString(16).toUpperCase().padStart(8, '0')}`
}
