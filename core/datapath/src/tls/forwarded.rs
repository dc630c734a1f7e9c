//! The header that tells a backend who the client proved to be.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{key_pair::fingerprint, subject};

/// A longer value would not pass a backend's header limit; names that do not fit are left out.
const MAX_LENGTH: usize = 4096;

/// `x-forwarded-client-cert` as Envoy writes it with subject, URI and DNS set: `Hash=..;Subject="..";URI=..;DNS=..`.
///
/// `certificate` is a client's, verified: to be computed once per connection. The subject is always quoted; other
/// values only when they hold `,`, `;`, `=`, `"` or `\`. One URI is there even if empty; several are repeated, as are DNS names.
/// None when the certificate cannot be read.
pub fn forwarded_client_cert(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut value = format!("Hash={}", fingerprint(certificate));
    let subject = subject::print(parsed.subject());
    if value.len() + subject.len() <= MAX_LENGTH {
        value.push_str(&format!(";Subject=\"{subject}\""));
    }
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = || alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let uris = names().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let hosts = names().filter_map(|name| match name {
        GeneralName::DNSName(host) => Some(*host),
        _ => None,
    });
    let before = value.len();
    uris.for_each(|uri| append(&mut value, "URI", uri));
    if value.len() == before {
        append(&mut value, "URI", "");
    }
    hosts.for_each(|host| append(&mut value, "DNS", host));
    Some(value)
}

/// Leaves out a name that is not printable ASCII: none such is a URI or a DNS name.
fn append(value: &mut String, key: &str, name: &str) {
    let is_printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_printable || value.len() + key.len() + 2 * name.len() + 4 > MAX_LENGTH {
        return;
    }
    value.push(';');
    value.push_str(key);
    value.push('=');
    if name.contains([',', ';', '=', '"', '\\', ' ']) {
        value.push('"');
        value.push_str(&name.replace('\\', "\\\\").replace('"', "\\\""));
        value.push('"');
    } else {
        value.push_str(name);
    }
}
