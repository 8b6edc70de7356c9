/** `npm test` stays under a quarter of an hour on two cores: what only repeats a proof in another setting is asked for. */
export const wholeTier = process.env.KEYSCALER_SLOW_TESTS === '1'

/** How often what changes nothing is done again: the second time is like the third and the tenth. */
export const repeats = wholeTier ? 10 : 3
