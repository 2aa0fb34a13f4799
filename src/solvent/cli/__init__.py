"""What people type, and the live terminal views."""
