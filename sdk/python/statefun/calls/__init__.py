"""What happens between a request's bytes and its response's."""
