"""picamera2 imports it for its video encoders."""
