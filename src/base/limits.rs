//! Every bound of the program, with its reason.

/// One label (RFC 1035 section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;
/// One name on the wire, root label included (RFC 1035 section 2.3.4).
pub const NAME_BYTES_MAX: usize = 255;
/// A name of one-byte labels reaches this many labels within [`NAME_BYTES_MAX`].
pub const NAME_LABELS_MAX: usize = 127;
/// Record data carries a 16-bit length (RFC 1035 section 3.2.1).
pub const RDATA_BYTES_MAX: usize = 65_535;
/// One record set must fit a DNS message over TCP; smallest record: owner pointer and header.
pub const RECORDS_PER_SET_MAX: usize = 4_096;
/// Types at one name; far above any real name, far below what would slow a query.
pub const SETS_PER_NAME_MAX: usize = 64;
/// One name's record sets together; keeps every entry inside one DNS message over TCP.
pub const ENTRY_BYTES_MAX: usize = 65_535;
/// Any list in a canonical object; a guard beside the specific limits.
pub const CANONICAL_LIST_MAX: usize = 1 << 20;

/// Changes in one proposal: one import step; bounds what one commit stages in memory.
pub const OPS_PER_PROPOSAL_MAX: usize = 200_000;
/// One signed proposal; bounds what the API reads and one commit stages in memory.
pub const PROPOSAL_BYTES_MAX: usize = 64 << 20;
/// Preconditions of one proposal: one per change and some for the scope.
pub const PRECONDITIONS_MAX: usize = OPS_PER_PROPOSAL_MAX + 16;
/// Proposals grouped into one commit: bounds the time a change waits for the flush.
pub const PROPOSALS_PER_COMMIT_MAX: usize = 4_096;
/// Proposals grouped into one commit, in bytes: an import shares its commit with small changes, but
/// not with a second import. The last one may go beyond.
pub const COMMIT_BYTES_MAX: usize = 4 << 20;
/// Proposals that wait for the writer, in encoded bytes: two of the largest, so that one can wait
/// while the other is committed.
pub const QUEUE_BYTES_MAX: usize = 2 * PROPOSAL_BYTES_MAX;
/// A note is a sentence for people.
pub const NOTE_BYTES_MAX: usize = 1_024;
/// Anchors of one scope: two signatures a change each, votes grow with the square.
pub const ANCHORS_MAX: usize = 64;
/// Grants of one scope; looked through for each change of a key that is no anchor's.
pub const GRANTS_MAX: usize = 256;
/// Anchors, former ones included, whose votes a scope remembers: a whole group replaced every day
/// for years.
pub const LEDGER_MAX: usize = 1 << 16;
/// How far the clock of an author or an approver may be ahead of the block that decides.
pub const CLOCK_AHEAD_MILLIS_MAX: u64 = 5 * 60 * 1_000;
/// Votes that one block records on proposals decided before: every anchor on 64 of them.
pub const LATE_VOTES_MAX: usize = 64 * ANCHORS_MAX;
/// Proposals of one scope that wait for approvals; people decide over them.
pub const PENDING_PER_SCOPE_MAX: usize = 1_024;
/// Proposals of one author that wait in one scope: nobody can fill the list for all. What anchors on
/// several nodes decide waits, too, and a block costs them the same for one change as for a hundred.
pub const PENDING_PER_AUTHOR_MAX: usize = 128;
/// Waiting proposals of one scope together: a few of the largest.
pub const PENDING_BYTES_MAX: usize = 4 * PROPOSAL_BYTES_MAX;
/// The longest lease, in seconds: what nobody renews is forgotten, whatever its announcer wished.
pub const LEASE_SECS_MAX: u64 = 3_600;
/// The shortest lease, in seconds: a renewal that was lost can be sent again.
pub const LEASE_SECS_MIN: u64 = 2;
/// Instances of one service that live at the same time: their addresses fit one message.
pub const INSTANCES_PER_SERVICE_MAX: usize = 1_024;
/// Leases of one service that are remembered, ended ones included: a few rounds of replacing all
/// instances within an hour.
pub const LEASES_PER_SERVICE_MAX: usize = 4 * INSTANCES_PER_SERVICE_MAX;
/// Leases of one key, ended ones included: one announcer cannot fill the node.
pub const LEASES_PER_KEY_MAX: usize = 1 << 16;
/// Leases of a node, ended ones included; all of them are in memory.
pub const LEASES_MAX: usize = 1 << 18;
/// How long the last known good instances are shown after the last of their leases ended, in
/// seconds: longer than people need to notice, shorter than addresses are given to others.
pub const LAST_GOOD_SECS_MAX: u64 = 3_600;
/// How long leases that ended while the node was down count on after its start, in seconds; never
/// longer than the lease itself was.
pub const RESTART_GRACE_SECS_MAX: u64 = 60;
/// The longest TTL of instances, in seconds: one that leaves is gone within it.
pub const INSTANCE_TTL_SECS_MAX: u32 = 5;
/// The path of an HTTP check.
pub const CHECK_PATH_BYTES_MAX: usize = 255;
/// Nodes of one anchor.
pub const NODES_PER_ANCHOR_MAX: usize = 64;
/// Tests of one scope's access graph; a question may pass all of them.
pub const ACCESS_NODES_MAX: usize = 64;
/// Verbs of one scope's vocabulary.
pub const VERBS_MAX: usize = 64;
/// What a challenged caller is told; it travels in an extended error over UDP.
pub const CHALLENGE_BYTES_MAX: usize = 255;
/// What proves that a parent scope recovered a child: its own changes of government, some hundred of
/// them, and one slot.
pub const WARRANT_BYTES_MAX: usize = 128 << 10;
/// How long an announced recovery may have to stay public: longer than a year is never.
pub const RECOVERY_DELAY_SECS_MAX: u64 = 366 * 86_400;
/// Descriptors of one scope in a proof: a change of government every day for ten years.
pub const PROOF_EPOCHS_MAX: usize = 4_096;
/// What proves that an entry left a scope: it fits a proposal of a joint scope.
pub const PASSAGE_BYTES_MAX: usize = 512 << 10;
/// The text of a proof: a name of a hundred labels with the largest entry stays far below it, and
/// reading it takes a moment.
pub const PROOF_TEXT_BYTES_MAX: usize = 16 << 20;
/// The text of an offer of a scope: [`ANCHORS_MAX`] anchors with their nodes and signatures in
/// base64 stay below it.
pub const OFFER_TEXT_BYTES_MAX: usize = 1 << 20;
/// The text of a ticket: names, keys, [`PEER_ADDRESSES_MAX`] addresses and a note in base64 stay below
/// it, and a command line takes it.
pub const TICKET_TEXT_BYTES_MAX: usize = 8 << 10;
/// How long a ticket counts unless told, in seconds: people carry it, and other anchors approve.
pub const TICKET_SECS_DEFAULT: u32 = 86_400;
/// One link in an export: [`COMMIT_BYTES_MAX`] and one largest proposal, and the approvals of
/// [`ANCHORS_MAX`] seats for [`PROPOSALS_PER_COMMIT_MAX`] proposals, stay below it.
pub const EXPORT_LINK_BYTES_MAX: usize = 128 << 20;
/// Networks that are told to be in a region: all are looked at for a client.
pub const REGION_NETWORKS_MAX: usize = 256;
/// Bytes of a region or organisation label.
pub const REGION_BYTES_MAX: usize = 63;
/// Weight of one anchor; the sum of [`ANCHORS_MAX`] such weights cannot wrap 64 bits.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// Scopes between an apex and the deepest child; DNS names allow at most 127 labels.
pub const SCOPE_DEPTH_MAX: u8 = 64;

/// Changes that one look at the past reads, and names it walks over: some seconds of one core. What
/// it keeps in memory is far less, only paths that changed since.
pub const AS_OF_STEPS_MAX: u64 = 4_000_000;

/// CNAME, DNAME and Moved steps of one answer; named gives up at 16.
pub const CHAIN_HOPS_MAX: u8 = 16;
/// Hand-overs between the governed and the legacy side of one question, whatever the policy says.
pub const HANDOVERS_MAX: u8 = 8;
/// Times that one question asks other nodes: each brings all that is missing for one name, and a
/// chain leads to few scopes that are not held.
pub const PEER_ASKS_MAX: u8 = 8;

/// A zone file; larger zones are better served by a primary that transfers them.
pub const ZONE_FILE_BYTES_MAX: u64 = 4 << 30;
/// `$INCLUDE` inside `$INCLUDE`; ends a loop of files that include each other.
pub const ZONE_INCLUDE_DEPTH_MAX: usize = 16;
/// `$INCLUDE`s of one zone; files that include each other twice would double at every level.
pub const ZONE_INCLUDES_MAX: usize = 4_096;
/// Records of one `$GENERATE`: a /12 of IPv4 addresses.
pub const ZONE_GENERATE_RECORDS_MAX: usize = 1 << 20;

/// UDP answers; below the smallest common path MTU less headers (DNS flag day 2020).
pub const UDP_PAYLOAD_MAX: usize = 1_232;
/// UDP answers to clients without EDNS (RFC 1035 section 2.3.4).
pub const UDP_PAYLOAD_PLAIN: usize = 512;
/// Any DNS message; TCP's length prefix has 16 bits (RFC 1035 section 4.2.2).
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// A datagram longer than this is no question.
pub const DATAGRAM_BYTES_MAX: usize = 4_096;

/// Devices of one scope: a person's, or a small group's; a proof looks at each.
pub const DEVICES_MAX: usize = 64;
/// What a device is called, for people.
pub const DEVICE_NOTE_BYTES_MAX: usize = 128;
/// Nodes that a device may ask.
pub const DEVICE_SERVERS_MAX: usize = 8;
/// Where one of them is.
pub const DEVICE_SERVER_BYTES_MAX: usize = 255;
/// How long a challenge waits for its proof: slow networks answer within seconds.
pub const CHALLENGE_SECS: u64 = 60;
/// Challenges of the last [`CHALLENGE_SECS`] on one node, less than a megabyte.
pub const CHALLENGES_MAX: usize = 4_096;
/// Those for one network, used or not: an office behind one address gets along, guessing does not;
/// each proof costs a commit.
pub const CHALLENGES_PER_NETWORK_MAX: usize = 64;
/// Devices that count somewhere; the table is copied with each proof.
pub const PRESENCES_MAX: usize = 4_096;
/// Places in which one device counts: it moves, it does not multiply.
pub const PRESENCES_PER_DEVICE_MAX: usize = 4;
/// How long a proof may count.
pub const PRESENCE_SECS_MAX: u32 = 86_400;

/// Nodes at which one scope is followed; they are asked one after the other.
pub const MIRROR_SOURCES_MAX: usize = 8;
/// Scopes that one node follows: their heads are asked for in some hundred requests.
pub const MIRRORS_MAX: usize = 1 << 16;
/// Other nodes in a configuration; each has a connection, which takes about a megabyte.
pub const PEERS_MAX: usize = 1_024;
/// Addresses of one node.
pub const PEER_ADDRESSES_MAX: usize = 8;
