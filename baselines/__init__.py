"""Reference methods, one folder per paper."""
