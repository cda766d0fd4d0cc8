//! Questions to bytes and replies to lines that can be compared.

use domain::base::iana::{OptRcode, Rtype};
use domain::base::message::Message;
use domain::base::opt::AllOptData;
use domain::rdata::AllRecordData;
use kedge::namespace::name::Name;
use kedge::namespace::rtype::RecordType;

/// What a client asks.
#[derive(Debug, Clone)]
pub struct Ask {
    pub name: Name,
    pub kind: RecordType,
    pub from: std::net::IpAddr,
    pub recursion_desired: bool,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
}

impl Ask {
    /// The question's bytes, with EDNS.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut flags = 0_u16;
        if self.recursion_desired {
            flags |= 0x0100;
        }
        if self.checking_disabled {
            flags |= 0x0010;
        }
        let mut bytes = vec![0x12, 0x34];
        bytes.extend(flags.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 0, 0, 1]);
        bytes.extend(self.name.as_wire());
        bytes.extend(self.kind.code().to_be_bytes());
        bytes.extend([0, 1]);
        // OPT: root, type 41, payload 4096, no extended code, DO or not, no options.
        bytes.extend([0, 0, 41, 16, 0, 0, 0]);
        bytes.extend(if self.dnssec_ok { [0x80, 0] } else { [0, 0] });
        bytes.extend([0, 0]);
        bytes
    }
}

/// A reply as lines: the code with its flags, then a line each for records and extended errors.
/// Answers come with their data and TTL; other sections with owner and type.
pub fn lines(reply: &[u8]) -> Vec<String> {
    let message = Message::from_slice(reply).expect("a reply has a header");
    let header = message.header();
    let opt = message.opt().expect("EDNS was asked for");
    let code: OptRcode = opt.rcode(header);
    let mut head = code.to_string();
    for (set, flag) in [
        (header.aa(), " aa"),
        (header.tc(), " tc"),
        (header.ra(), " ra"),
        (header.ad(), " ad"),
    ] {
        if set {
            head.push_str(flag);
        }
    }
    let mut lines = vec![head];
    for record in message
        .answer()
        .unwrap()
        .into_records::<AllRecordData<_, _>>()
    {
        let record = record.expect("a record can be read");
        let ttl = record.ttl().as_secs();
        let kind = record.rtype();
        lines.push(format!(
            "{}. {ttl} {kind} {}",
            record.owner(),
            record.data()
        ));
    }
    for (section, word) in [
        (message.authority().unwrap(), "authority"),
        (message.additional().unwrap(), "additional"),
    ] {
        for record in section {
            let record = record.expect("a record can be read");
            if record.rtype() != Rtype::OPT {
                // A TTL is shown where it forbids caches to keep the record.
                let fresh = if record.ttl().as_secs() == 0 {
                    " 0"
                } else {
                    ""
                };
                let owner = record.owner();
                lines.push(format!("{word} {owner}.{fresh} {}", record.rtype()));
            }
        }
    }
    for option in opt.opt().iter::<AllOptData<_, _>>() {
        if let Ok(AllOptData::ExtendedError(error)) = option {
            lines.push(format!("ede {}", error.code().to_int()));
        }
    }
    lines
}
