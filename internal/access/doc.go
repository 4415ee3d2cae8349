// Package access decides who may do what: [[access]] in the configuration.
//
// Who asks is the kernel's word, a uid, a gid and groups, or on TCP the name of
// somebody who has shown his password. The first rule that is for him decides; once
// there is a rule, who has none may do nothing. Root and the daemon's own user are
// never bound, and without a rule nobody is.
//
// It owns the rules in effect and how fast each user publishes. It promises that
// every refusal names the rule that decided. It knows no socket and does nothing: who
// asks it acts on the answer.
package access
