# A whole load balancer, as somebody writes it who knows nothing of a twin but its address.

variable "api" { type = string }
variable "scaler" { type = number }
variable "timeout" { type = number }
variable "certificate" { type = string }
variable "key" { type = string }

provider "google" {
  project                 = "demo"
  access_token            = "none"
  compute_custom_endpoint = var.api
  user_project_override   = false
}

locals {
  zones = { near = "us-central1-a", far = "europe-west1-b" }
}

resource "google_compute_global_address" "vip" {
  name = "vip"
}

resource "google_compute_health_check" "check" {
  name               = "check"
  check_interval_sec = 1
  timeout_sec        = 1
  grpc_health_check {
    port_specification = "USE_SERVING_PORT"
  }
}

resource "google_compute_network_endpoint_group" "group" {
  for_each              = local.zones
  name                  = each.key
  zone                  = each.value
  network               = "default"
  network_endpoint_type = "GCE_VM_IP_PORT"
  default_port          = 8443
}

resource "google_compute_network_endpoint" "pod" {
  network_endpoint_group = google_compute_network_endpoint_group.group["near"].name
  zone                   = local.zones.near
  ip_address             = "127.0.0.1"
  port                   = 8443
  instance               = "vm-1"
}

resource "google_compute_backend_service" "service" {
  name                  = "service"
  protocol              = "HTTP2"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  timeout_sec           = var.timeout
  health_checks         = [google_compute_health_check.check.id]
  dynamic "backend" {
    for_each = google_compute_network_endpoint_group.group
    content {
      group                 = backend.value.id
      balancing_mode        = "RATE"
      max_rate_per_endpoint = 100
      capacity_scaler       = backend.key == "near" ? var.scaler : 1
    }
  }
}

resource "google_compute_url_map" "map" {
  name            = "map"
  default_service = google_compute_backend_service.service.id
  host_rule {
    hosts        = ["api.example"]
    path_matcher = "api"
  }
  path_matcher {
    name            = "api"
    default_service = google_compute_backend_service.service.id
    path_rule {
      paths   = ["/v1/*"]
      service = google_compute_backend_service.service.id
    }
  }
}

resource "google_compute_url_map" "redirect" {
  name = "redirect"
  default_url_redirect {
    https_redirect = true
    strip_query    = false
  }
}

resource "google_compute_ssl_certificate" "certificate" {
  name        = "certificate"
  certificate = var.certificate
  private_key = var.key
}

resource "google_compute_target_https_proxy" "secure" {
  name             = "secure"
  url_map          = google_compute_url_map.map.id
  ssl_certificates = [google_compute_ssl_certificate.certificate.id]
}

resource "google_compute_target_http_proxy" "plain" {
  name    = "plain"
  url_map = google_compute_url_map.redirect.id
}

resource "google_compute_global_forwarding_rule" "secure" {
  name                  = "secure"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.vip.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.secure.id
}

resource "google_compute_global_forwarding_rule" "plain" {
  name                  = "plain"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.vip.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.plain.id
}
