"""Datagrams of the UART (datasheet, section 4): bytes from numbers and numbers from bytes, and nothing else.

Every datagram begins with the sync nibble 5 and ends with a CRC. One wire carries both directions, so whoever sends hears
himself first.
"""

from __future__ import annotations

SYNC = 0x05
MASTER = 0xFF
"""The address that replies are sent to."""
WRITE = 0x80
"""Set in the register's byte of a write."""
REPLY_BYTES = 8
NODES = 4
"""Addresses that the pins MS1 and MS2 can choose."""


class BadReply(ValueError):
    """Bytes that are not the reply that was waited for; the message says why."""


def crc8(data: bytes) -> int:
    """The check of section 4.2: polynomial x^8+x^2+x+1 from 0, each byte with its lowest bit first."""
    crc = 0
    for byte in data:
        for bit in range(8):
            feedback = (crc >> 7) ^ (byte >> bit & 1)
            crc = crc << 1 & 0xFF
            if feedback:
                crc ^= 0x07
    return crc


def read_request(node: int, register: int) -> bytes:
    """Four bytes that ask one of the nodes 0 to 3 for a register."""
    return _checked(bytes((SYNC, _node(node), _register(register))))


def write_request(node: int, register: int, value: int) -> bytes:
    """Eight bytes that give a register of a node 32 bits; nothing is answered."""
    if not 0 <= value < 1 << 32:
        raise ValueError(f"{value:#x} is not 32 bits")
    return _checked(bytes((SYNC, _node(node), _register(register) | WRITE)) + value.to_bytes(4, "big"))


def read_reply(data: bytes, register: int) -> int:
    """The 32 bits in a reply. Raises `BadReply`: too short, for somebody else, about another register, a wrong CRC."""
    if len(data) != REPLY_BYTES:
        raise BadReply(f"{len(data)} bytes of {REPLY_BYTES}" if data else "nothing")
    if data[-1] != crc8(data[:-1]):
        raise BadReply(f"a wrong CRC ({data.hex(' ')})")
    if data[0] & 0x0F != SYNC or data[1] != MASTER:
        raise BadReply(f"something else ({data.hex(' ')})")
    if data[2] != register:
        raise BadReply(f"register {data[2]:#04x} instead of {register:#04x}")
    return int.from_bytes(data[3:7], "big")


def _checked(data: bytes) -> bytes:
    return data + bytes((crc8(data),))


def _node(node: int) -> int:
    if not 0 <= node < NODES:
        raise ValueError(f"there is no node {node}")
    return node


def _register(register: int) -> int:
    if not 0 <= register < WRITE:
        raise ValueError(f"there is no register {register:#x}")
    return register
