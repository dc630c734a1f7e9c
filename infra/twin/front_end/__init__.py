"""Google's front end: what carries traffic by the resources of the API."""
