"""What each kind of resource is: where it lives, what it refers to, what it needs, and the rules that it keeps."""
