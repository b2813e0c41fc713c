"""The MQTT adapter: bytes of a broker to messages and back. Nothing is decided here."""
