// Package provision owns the device's identity at the cloud: the signatures,
// the bodies and replies of dynamic registration and of HTTPS authentication,
// the MQTT login strings, and the store that keeps what the cloud handed out.
//
// It promises that a DeviceSecret, which the cloud gives once, is never burnt:
// [Store.Prove] shows that it could be kept before it is asked for,
// [Store.SaveDeviceSecret] returns nil only when it is on disk, and at no
// moment, whatever fails, is there no readable secret if there was one. It
// promises that a secret of another device is never returned, and that no
// error or note of this package holds a secret, a token or a signature.
//
// It never speaks AT, opens no connection and starts no goroutine: who calls
// it carries the bodies to the cloud and the replies back.
package provision
