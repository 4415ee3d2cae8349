// Package fair bounds what outsiders may hold of the daemon at once, so that
// none of them can keep another one out.
//
// [Pool] counts places or bytes by user: one user may have all of them while
// nobody else comes, and gives some back when somebody does. [Turns] lets a few
// work at the same time, the users one after the other. [Listener] is for doors
// at which nobody knows who knocks: few connections, and whoever has been
// waiting longest without a request makes room.
//
// It owns no connection and no goroutine. It promises that a refusal comes at
// once, and that nothing is called while a lock is held.
package fair
