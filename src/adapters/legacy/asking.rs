//! `Asked`: a question as it goes to an upstream, and what a message that comes back has to do with it.

use domain::base::Message;
use domain::base::iana::{OptRcode, OptionCode, Rtype};
use domain::base::opt::UnknownOptData;
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Query};
use hickory_resolver::proto::rr::{Name as HickoryName, RecordType as HickoryType};
use hickory_resolver::proto::serialize::binary::BinDecodable;

use crate::resolution::legacy::LegacyQuestion;

use super::cookies::{COOKIE, Told};

/// Answers are accepted over UDP up to this size; below the smallest common path MTU less headers
/// (DNS flag day 2020).
pub(super) const UDP_ANSWER_BYTES_MAX: u16 = 1_232;
/// ID, flags and counts.
const HEADER_BYTES: usize = 12;
/// Type and class.
const QUESTION_TAIL_BYTES: usize = 4;
/// The type of OPT.
const OPT: u16 = 41;
/// Of the flags' first octet: this is a response.
const IS_RESPONSE: u8 = 0x80;
/// RD, in the same octet.
const RECURSION_DESIRED: u8 = 1;
/// AD and CD, in the second one.
const AUTHENTIC_DATA: u8 = 0x20;
const CHECKING_DISABLED: u8 = 0x10;
/// DO, of the upper octet of EDNS flags.
const DNSSEC_OK: u8 = 0x80;
/// One bit for each octet of the longest name.
const CASE_BYTES: usize = 32;

/// A question and the wishes that go with it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'q> {
    /// What is asked.
    pub question: &'q LegacyQuestion,
    /// AD in the answer is believed, and asked for without signatures (RFC 6840 section 5.7).
    pub trusts_ad: bool,
}

/// What nobody else can guess of a message: RFC 5452 section 4, and letters for what they add.
#[derive(Debug, Clone, Copy)]
pub struct Secret {
    id: [u8; 2],
    case: [u8; CASE_BYTES],
    /// Which of the sockets at hand is taken.
    pub(super) draw: [u8; 2],
}

impl Secret {
    /// Octets that it takes.
    pub const BYTES: usize = 4 + CASE_BYTES;

    /// From so many random octets.
    pub fn new(random: [u8; Self::BYTES]) -> Self {
        let [id_high, id_low, draw_high, draw_low, case @ ..] = random;
        Self {
            id: [id_high, id_low],
            case,
            draw: [draw_high, draw_low],
        }
    }

    /// A name, every letter of it small or capital.
    fn disguise(&self, name: &[u8]) -> impl Iterator<Item = u8> {
        let bits = self
            .case
            .iter()
            .flat_map(|octet| (0..8).map(move |bit| octet >> bit & 1 == 1));
        // The octet of a label's length is below any letter.
        name.iter().zip(bits).map(|(octet, is_capital)| {
            if is_capital {
                octet.to_ascii_uppercase()
            } else {
                octet.to_ascii_lowercase()
            }
        })
    }
}

/// What a message has to do with a question that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// It answers the question.
    Reply,
    /// It answers it, but its letters are not those that were sent.
    OtherLetters,
    /// It does not.
    None,
}

impl Asked<'_> {
    /// The message for UDP.
    pub fn message(&self, secret: &Secret, cookie: Option<&[u8]>) -> Vec<u8> {
        let name = self.question.name.as_wire();
        let mut message = Vec::with_capacity(HEADER_BYTES + name.len() + 40);
        message.extend(secret.id);
        let ad = if self.trusts_ad { AUTHENTIC_DATA } else { 0 };
        let cd = if self.question.checking_disabled {
            CHECKING_DISABLED
        } else {
            0
        };
        message.extend([RECURSION_DESIRED, ad | cd, 0, 1, 0, 0, 0, 0, 0, 1]);
        message.extend(secret.disguise(name));
        message.extend(self.question.kind.code().to_be_bytes());
        message.extend([0, 1]);
        let dnssec_ok = if self.question.dnssec_ok {
            DNSSEC_OK
        } else {
            0
        };
        message.push(0);
        message.extend(OPT.to_be_bytes());
        message.extend(UDP_ANSWER_BYTES_MAX.to_be_bytes());
        message.extend([0, 0, dnssec_ok, 0]);
        let cookie = cookie.unwrap_or_default();
        // A cookie has at most 40 octets (RFC 7873 section 4).
        let length = u16::try_from(cookie.len()).unwrap_or(0);
        if length == 0 {
            message.extend([0, 0]);
        } else {
            message.extend((length + 4).to_be_bytes());
            message.extend(COOKIE.to_be_bytes());
            message.extend(length.to_be_bytes());
            message.extend(cookie);
        }
        message
    }

    /// The same question as the library wants it, which sends it over connections.
    pub(super) fn request(&self) -> Option<DnsRequest> {
        let name = HickoryName::from_bytes(self.question.name.as_wire()).ok()?;
        let query = Query::query(name, HickoryType::from(self.question.kind.code()));
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_payload_len = UDP_ANSWER_BYTES_MAX;
        options.edns_set_dnssec_ok = self.question.dnssec_ok;
        options.recursion_desired = true;
        let mut request = DnsRequest::from_query(query, options);
        request.metadata.checking_disabled = self.question.checking_disabled;
        request.metadata.authentic_data = self.trusts_ad;
        Some(request)
    }
}

/// What a message that came has to do with the question that was sent.
pub fn kinship(sent: &[u8], name_bytes: usize, came: &[u8]) -> Kinship {
    let question = HEADER_BYTES..HEADER_BYTES + name_bytes + QUESTION_TAIL_BYTES;
    let is_response = came.get(2).is_some_and(|flags| flags & IS_RESPONSE != 0);
    let has_one_question = came.get(4..6) == Some(&[0, 1]);
    if !is_response || !has_one_question || came.get(..2) != sent.get(..2) {
        return Kinship::None;
    }
    match (sent.get(question.clone()), came.get(question)) {
        (Some(sent), Some(came)) if sent == came => Kinship::Reply,
        (Some(sent), Some(came)) if sent.eq_ignore_ascii_case(came) => Kinship::OtherLetters,
        _ => Kinship::None,
    }
}

/// What a reply says beside its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// It did not fit.
    pub is_truncated: bool,
    code: OptRcode,
    cookie: Option<Vec<u8>>,
    is_referral: bool,
}

impl Said {
    /// None of what is no message.
    pub fn of(reply: &[u8]) -> Option<Self> {
        let message = Message::from_slice(reply).ok()?;
        let (header, counts) = (message.header(), message.header_counts());
        let (mut has_ns, mut has_soa) = (false, false);
        if counts.ancount() == 0 && counts.nscount() > 0 {
            for record in message.authority().ok()? {
                let kind = record.ok()?.rtype();
                has_ns |= kind == Rtype::NS;
                has_soa |= kind == Rtype::SOA;
            }
        }
        let code = message.opt_rcode();
        Some(Self {
            is_truncated: header.tc(),
            is_referral: code == OptRcode::NOERROR && !header.tc() && has_ns && !has_soa,
            code,
            cookie: cookie(message),
        })
    }

    /// What it says about cookies.
    pub(super) fn told(&self) -> Told<'_> {
        Told {
            cookie: self.cookie.as_deref(),
            wants_another: self.code == OptRcode::BADCOOKIE,
            is_confused: self.code == OptRcode::FORMERR,
        }
    }

    /// Why it is no answer; none if it is one.
    pub fn objection(&self) -> Option<String> {
        match self.code {
            // NS without SOA and without answers is a referral (RFC 2308 section 2.2): the upstream does
            // not recurse for us, which says nothing about the name.
            OptRcode::NOERROR | OptRcode::NXDOMAIN => {
                self.is_referral.then(|| "a referral".to_owned())
            }
            code => Some(mnemonic(code)),
        }
    }
}

/// The value of a reply's cookie option. Only the first one counts (RFC 7873 section 5.2).
fn cookie(message: &Message<[u8]>) -> Option<Vec<u8>> {
    let opt = message.opt()?;
    let mut options = opt.opt().iter::<UnknownOptData<_>>().flatten();
    let cookie = options.find(|option| option.code() == OptionCode::COOKIE)?;
    Some(cookie.data().to_vec())
}

/// A response code in letters.
pub(super) fn mnemonic(code: OptRcode) -> String {
    code.to_mnemonic_str()
        .map_or_else(|| format!("RCODE{}", code.to_int()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::namespace::rtype::RecordType;

    fn question(name: &str) -> LegacyQuestion {
        LegacyQuestion {
            name: name.parse().unwrap(),
            kind: RecordType::A,
            dnssec_ok: true,
            checking_disabled: true,
        }
    }

    fn secret(octet: u8) -> Secret {
        Secret::new([octet; Secret::BYTES])
    }

    /// The reply to a message: flags, a code and records behind the question.
    fn reply(sent: &[u8], code: u8, counts: [u8; 3], records: &[u8]) -> Vec<u8> {
        let end = sent.len() - 11;
        let mut reply = sent[..end].to_vec();
        reply[2] |= IS_RESPONSE;
        reply[3] = code;
        [reply[7], reply[9], reply[11]] = counts;
        reply.extend_from_slice(records);
        reply
    }

    const NS_OF_ROOT: [u8; 12] = [0, 0, 2, 0, 1, 0, 0, 0, 9, 0, 1, 0];

    #[test]
    fn a_message_says_what_the_library_would_say() {
        let question = question("www.example.");
        let asked = Asked {
            question: &question,
            trusts_ad: true,
        };
        let mut request = asked.request().unwrap();
        request.metadata.id = 0;
        let ours = asked.message(&secret(0), None);
        assert_eq!(ours, request.to_vec().unwrap());
        let with_cookie = asked.message(&secret(0), Some(b"12345678"));
        let head = [0, 12, 0, 10, 0, 8];
        let expected = [&ours[..ours.len() - 2], &head, b"12345678"].concat();
        assert_eq!(with_cookie, expected);
    }

    #[test]
    fn letters_and_numbers_are_the_secrets() {
        let question = question("www.example.");
        let asked = Asked {
            question: &question,
            trusts_ad: false,
        };
        let (small, capital) = (
            asked.message(&secret(0), None),
            asked.message(&secret(255), None),
        );
        assert_eq!(&small[12..25], b"\x03www\x07example\0");
        assert_eq!(&capital[12..25], b"\x03WWW\x07EXAMPLE\0");
        assert_eq!((&small[..2], &capital[..2]), (&[0, 0][..], &[255, 255][..]));
    }

    #[test]
    fn only_what_has_number_and_question_is_a_reply() {
        let question = question("www.example.");
        let asked = Asked {
            question: &question,
            trusts_ad: false,
        };
        let sent = asked.message(&secret(255), None);
        let of = |came: &[u8]| kinship(&sent, question.name.as_wire().len(), came);
        let right = reply(&sent, 0, [0; 3], &[]);
        assert_eq!(of(&right), Kinship::Reply);
        let mut other = right.clone();
        other[14] ^= 0x20;
        assert_eq!(of(&other), Kinship::OtherLetters);
        // Not a response, another number, another count, another name, type or class, cut short.
        for at in [2, 0, 1, 4, 5, 12, 25, 26, 27, 28] {
            let mut other = right.clone();
            other[at] ^= 0x81;
            assert_eq!(of(&other), Kinship::None, "{at}");
        }
        for length in 0..29 {
            assert_eq!(of(&right[..length]), Kinship::None, "{length}");
        }
    }

    #[test]
    fn codes_and_referrals_are_no_answers() {
        let question = question("www.example.");
        let asked = Asked {
            question: &question,
            trusts_ad: false,
        };
        let sent = asked.message(&secret(1), None);
        let objection = |reply: &[u8]| Said::of(reply).unwrap().objection();
        assert_eq!(objection(&reply(&sent, 0, [0; 3], &[])), None);
        assert_eq!(objection(&reply(&sent, 3, [0; 3], &[])), None);
        assert_eq!(
            objection(&reply(&sent, 2, [0; 3], &[])).unwrap(),
            "SERVFAIL"
        );
        let referral = reply(&sent, 0, [0, 1, 0], &NS_OF_ROOT);
        assert_eq!(objection(&referral).unwrap(), "a referral");
        // An absence has an SOA; the name of a missing record says nothing of delegations.
        let mut absence = NS_OF_ROOT;
        absence[2] = 6;
        assert_eq!(objection(&reply(&sent, 0, [0, 1, 0], &absence)), None);
        // BADCOOKIE is spread over header and OPT (RFC 6891 section 6.1.3).
        let cookie = [
            0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        let said = Said::of(&reply(&sent, 7, [0, 0, 1], &cookie)).unwrap();
        assert!(said.told().wants_another);
        assert_eq!(said.told().cookie, Some(&[1, 2, 3, 4, 5, 6, 7, 8][..]));
    }

    proptest! {
        /// Whatever comes, looking at it does no harm, and nothing is a reply by accident.
        #[test]
        fn what_comes_is_looked_at_without_harm(
            name in "[a-z]{1,20}(\\.[a-z]{1,20}){0,3}\\.",
            random in proptest::collection::vec(any::<u8>(), Secret::BYTES),
            came in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let question = question(&name);
            let asked = Asked { question: &question, trusts_ad: false };
            let secret = Secret::new(random.try_into().unwrap());
            let sent = asked.message(&secret, None);
            let name_bytes = question.name.as_wire().len();
            let kin = kinship(&sent, name_bytes, &came);
            prop_assert!(kin == Kinship::None || came.len() > name_bytes + 15);
            prop_assert!(Said::of(&came).is_none() || came.len() >= 12);
            let mut echoed = sent.clone();
            echoed[2] |= IS_RESPONSE;
            prop_assert_eq!(kinship(&sent, name_bytes, &echoed), Kinship::Reply);
        }
    }
}
