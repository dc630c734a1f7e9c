"""A development issuer of tokens: keys of its own, an OpenID discovery document, and `tidegate token`."""
