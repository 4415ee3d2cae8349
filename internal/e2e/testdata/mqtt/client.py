# A program on paho for Python 1.6, as its documentation writes one: it publishes
# numbered messages with QoS 1 and 2, listens, and comes back by itself.
#   client.py HOST PORT VERSION TOPIC FILTER
import sys
import time

import paho.mqtt.client as mqtt

host, port, version, topic, filter = sys.argv[1:6]
five = version == "5"
numbers = {}


def say(*words):
    print(*words, flush=True)


def on_connect(client, userdata, flags, rc, properties=None):
    say("connected", rc)
    client.subscribe(filter, qos=1)


def on_message(client, userdata, message):
    say("down", message.payload.decode())


def on_publish(client, userdata, mid):
    say("acknowledged", numbers.get(mid, "?"))


client = mqtt.Client(client_id="python-" + version, protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311)
client.on_connect, client.on_message, client.on_publish = on_connect, on_message, on_publish
client.reconnect_delay_set(1, 2)
client.connect(host, int(port), keepalive=5)
client.loop_start()
for n in range(10_000):
    info = client.publish(topic, "python %s/%d" % (version, n), qos=1 + n % 2, retain=n % 3 == 0)
    numbers[info.mid] = "python %s/%d" % (version, n)
    time.sleep(0.05)
