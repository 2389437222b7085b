//! What a certificate says of itself: who issued it, and when it is valid (RFC 5280, section 4.1).
//!
//! For people, to tell a proxy from a wrong clock. Decides nothing on trust: that is `tls.rs`. What it reads was sent by
//! anybody: every length is checked, and every text is made printable and short.

use crate::classify::redact;

/// The longest issuer that is shown, in characters.
const LONGEST: usize = 80;

/// A certificate as far as people want to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The issuer's organisation and name: "Apple Inc. (Apple Public Server RSA CA 12)".
    pub issuer: String,
    /// From when, in seconds since 1970.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
}

impl Certificate {
    /// Reads one in DER; `None` where it is none.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let mut fields = sequence(&mut sequence(&mut { der })?)?;
        // version [0], where there is one
        if fields.first() == Some(&0xa0) {
            element(&mut fields)?;
        }
        element(&mut fields)?; // serialNumber
        element(&mut fields)?; // signature
        let issuer = name(sequence(&mut fields)?);
        let mut validity = sequence(&mut fields)?;
        let [not_before, not_after] = [time(&mut validity)?, time(&mut validity)?];
        Some(Self { issuer, not_before, not_after })
    }
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// id-at-organizationName and id-at-commonName.
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Takes the next element from `input`: its tag and content (X.690, section 8.1). Lengths have at most three bytes.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let length = match first {
        short @ 0..=0x7f => usize::from(short),
        long if (0x81..=0x83).contains(&long) => {
            let (bytes, after) = rest.split_at_checked(usize::from(long - 0x80))?;
            rest = after;
            bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((tag, content))
}

fn sequence<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    element(input).filter(|(tag, _)| *tag == SEQUENCE).map(|(_, content)| content)
}

/// Organisation and common name, as far as there are any.
fn name(mut sets: &[u8]) -> String {
    let (mut organization, mut common) = (None, None);
    while let Some((SET, mut set)) = element(&mut sets) {
        while let Some(mut attribute) = sequence(&mut set) {
            let Some((OID, oid)) = element(&mut attribute) else { break };
            let Some(text) = element(&mut attribute).and_then(|(tag, bytes)| text(tag, bytes)) else { continue };
            match oid {
                ORGANIZATION => organization = Some(text),
                COMMON_NAME => common = Some(text),
                _ => {}
            }
        }
    }
    match (organization, common) {
        (Some(organization), Some(common)) => format!("{organization} ({common})"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "somebody without a name".to_owned(),
    }
}

/// UTF8String, PrintableString, T61String, IA5String; BMPString is UTF-16.
fn text(tag: u8, bytes: &[u8]) -> Option<String> {
    let text = match tag {
        0x0c | 0x13 | 0x14 | 0x16 => String::from_utf8_lossy(bytes).into_owned(),
        0x1e => {
            let units =
                bytes.chunks_exact(2).map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => return None,
    };
    let text: String = text.chars().map(redact::printable).take(LONGEST).collect();
    Some(text.trim().to_owned())
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (RFC 5280, section 4.1.2.5).
fn time(input: &mut &[u8]) -> Option<i64> {
    let (tag, bytes) = element(input)?;
    let digits = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let moment = jiff::civil::DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    Some(moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn made(organization: Option<&str>, common: Option<&str>, after: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(text) = organization {
            params.distinguished_name.push(DnType::OrganizationName, text);
        }
        if let Some(text) = common {
            params.distinguished_name.push(DnType::CommonName, text);
        }
        params.not_before = date_time_ymd(2025, 1, 2);
        params.not_after = date_time_ymd(after, 1, 2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[track_caller]
    fn check(der: &[u8], issuer: &str, not_after: i64) {
        let read = Certificate::read(der).unwrap();
        assert_eq!(read, Certificate { issuer: issuer.to_owned(), not_before: 1_735_776_000, not_after });
    }

    #[test]
    fn issuer_and_validity_are_read() {
        check(&made(Some("Fortinet"), Some("FGT60F"), 2026), "Fortinet (FGT60F)", 1_767_312_000);
        // From 2050 on the time has another form.
        check(&made(None, Some("Müller\u{1b}[31m\u{202e}"), 2060), "Müller\u{fffd}[31m\u{fffd}", 2_840_227_200);
        check(&made(None, None, 2026), "somebody without a name", 1_767_312_000);
        let long = Certificate::read(&made(Some(&"x".repeat(500)), None, 2026)).unwrap();
        assert_eq!(long.issuer.chars().count(), LONGEST);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_fail(bytes: Vec<u8>) {
            let _ = Certificate::read(&bytes);
        }

        #[test]
        fn no_damage_makes_it_fail(at in 0_usize..300, byte: u8, cut in 0_usize..600) {
            let mut der = made(Some("Fortinet"), Some("FGT60F"), 2026);
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            der.truncate(cut.max(1));
            let _ = Certificate::read(&der);
        }
    }
}
