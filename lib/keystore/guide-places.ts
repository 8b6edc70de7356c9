/**
 * Where the administrator's guide treats what a finding or a return code is about. Its numbers are those of the page: items 1 to
 * 15 of its DPoD part, the eight HSM prerequisites, its four tables.
 */
export const guidePlaces = {
  client: 'Guide: DPoD, items 1 to 4',
  slotList: 'Guide: DPoD, item 5',
  roles: 'Guide: DPoD, item 6',
  initialise: 'Guide: DPoD, items 7 and 8',
  label: 'Guide: DPoD, items 9 and 14',
  cryptoOfficer: 'Guide: DPoD, items 10 and 11',
  logout: 'Guide: DPoD, item 12',
  changePassword: 'Guide: DPoD, item 13',
  showInfo: 'Guide: DPoD, item 15',
  network: 'Guide: HSM prerequisite 3',
  hsm: 'Guide: HSM prerequisite 4',
  registration: 'Guide: HSM prerequisites 5 and 6',
  partition: 'Guide: HSM prerequisite 7',
  activation: 'Guide: HSM prerequisite 8',
  tested: 'Guide: table 1',
  kms: 'Guide: KMS Deployment'
} as const

export type GuidePlace = (typeof guidePlaces)[keyof typeof guidePlaces]
