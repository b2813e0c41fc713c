"""One connection to a broker, kept up: paho-mqtt on an asyncio loop. For rigs and for those who command them."""
