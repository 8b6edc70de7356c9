/** The words at the head of every published list of leaked passwords, and those that this product suggests by itself. */
export const commonWords: readonly string[] = (
  'password passwort passw pass pwd admin administrator root toor user guest login logon master superuser system sysadmin ' +
  'manager operator service server database mysql mariadb oracle postgres kafka memcached keyscaler deviceauthority ' +
  'device authority dfactor luna safenet gemalto thales hsm tenant account company office secret private letmein welcome ' +
  'changeme changeit changethis change default temp temporary test testing tester demo example sample hello abc abcd ' +
  'abcde abcdef qwe qwer qwert qwerty qwertz azerty qwertyu qwertyui qwertyuiop asd asdf asdfg asdfgh asdfghjkl zxc zxcv ' +
  'zxcvbn zxcvbnm qaz wsx edc qazwsx iloveyou loveyou love lovely you me my mine baby angel princess sunshine monkey ' +
  'dragon shadow football baseball basketball soccer hockey superman batman spiderman starwars pokemon michael jennifer ' +
  'jessica daniel thomas robert charlie andrew ashley nicole jordan matthew joshua hunter ranger killer trustno whatever ' +
  'freedom flower cheese computer internet samsung google facebook microsoft windows linux ubuntu debian apple orange ' +
  'banana cookie pepper ginger summer winter spring autumn january february march april june july august september ' +
  'october november december monday tuesday wednesday thursday friday saturday sunday london paris berlin liverpool ' +
  'arsenal chelsea one two three four five six seven eight nine zero the and for god jesus is it its this that new old ' +
  'first last secure security'
).split(' ')
