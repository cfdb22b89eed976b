"""The wire of the hypervisor's console in mux mode (include/core/console.h): frames of 0x01, channel, length, payload."""

START = 0x01
CHANNEL_BASE = 0x30
MAX_PAYLOAD = 120
HYPERVISOR = 0


def vm_channel(vm_id):
    return vm_id + 1


def encode(channel, data):
    """The frames that carry data to a channel."""
    out = bytearray()
    for start in range(0, len(data), MAX_PAYLOAD):
        part = data[start:start + MAX_PAYLOAD]
        out += bytes((START, CHANNEL_BASE + channel, 0x80 + len(part)))
        out += part
    return bytes(out)


class Decoder:
    """Takes the wire's bytes in pieces of any size and yields (channel, payload piece). Bytes outside frames (a boot loader's output, a
    panic that cut a frame short) come as channel None."""

    def __init__(self):
        self.state = "idle"
        self.channel = None
        self.left = 0

    def feed(self, data):
        out = []
        position = 0
        while position < len(data):
            if self.state == "payload":
                part = data[position:position + self.left]
                out.append((self.channel, bytes(part)))
                position += len(part)
                self.left -= len(part)
                if self.left == 0:
                    self.state = "idle"
                continue
            byte = data[position]
            position += 1
            if self.state == "idle":
                if byte == START:
                    self.state = "channel"
                else:
                    end = data.find(START, position)
                    end = len(data) if end < 0 else end
                    out.append((None, bytes(data[position - 1:end])))
                    position = end
            elif self.state == "channel":
                if CHANNEL_BASE <= byte < 0x7f:
                    self.channel = byte - CHANNEL_BASE
                    self.state = "length"
                elif byte != START:
                    self.state = "idle"
            elif 0x81 <= byte <= 0x80 + MAX_PAYLOAD:
                self.left = byte - 0x80
                self.state = "payload"
            else:
                self.state = "channel" if byte == START else "idle"
        return out
