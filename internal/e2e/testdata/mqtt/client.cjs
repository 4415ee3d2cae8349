// A program on mqtt.js 5: it publishes numbered messages with QoS 1 and 2, listens,
// and comes back by itself.
//   client.cjs URL VERSION TOPIC FILTER
const mqtt = require('mqtt')
const [url, version, topic, filter] = process.argv.slice(2)
const client = mqtt.connect(url, {
  clientId: 'js-' + version, protocolVersion: version === '5' ? 5 : 4, keepalive: 5, reconnectPeriod: 1000, resubscribe: true
})
client.on('connect', () => { console.log('connected'); client.subscribe(filter, { qos: 1 }) })
client.on('message', (_, payload) => console.log('down', payload.toString()))
client.on('error', (e) => console.log('error', e.message))
let n = 0
setInterval(() => {
  const payload = `js ${version}/${n}`
  client.publish(topic, payload, { qos: 1 + n % 2, retain: n % 3 === 0 }, (e) => { if (!e) console.log('acknowledged', payload) })
  n++
}, 50)
