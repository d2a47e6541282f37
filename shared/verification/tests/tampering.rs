//! The known ways to tamper with an export, with the code of each.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/corpus.rs"]
mod corpus;
mod support;

use std::rc::Rc;

use bytes::Bytes;
use domain::{
    block::BlockId,
    configuration::bucket::BucketName,
    digest::{Digest, DigestObject, DigestReference, DigestTag, Gap, GapReason, Hex32, SIGNATURE_SUFFIX, digest_name},
    event_filter::EventFilter,
    export_format::ExportFormat,
    object_key,
    ocsf::Class,
    tenant::TenantId,
};
use support::{CONFIGURATION, Export, OTHER_CONFIGURATION, Signer, at, gap, sha256};
use verification::{
    BreakCode, Circumstances, ExpectationSource, Options, Origin, PublicKeys, Report, SequenceRange,
    VerificationOutcome, verify,
};

#[derive(Clone)]
struct Case {
    export: Export,
    signer: Rc<Signer>,
    /// The keys that were ever given, by the SHA-256 of their DER.
    pems: Vec<(Hex32, String)>,
    options: Options,
}

impl Case {
    fn new() -> Self {
        Self::with_names(true)
    }

    /// Creates a case with the digest names of today (`is_tagged`), or of earlier versions.
    fn with_names(is_tagged: bool) -> Self {
        let signer = Signer::generate();
        let export = Export::sample(&signer, is_tagged);
        let mut options = Options::new(PublicKeys::default());
        options.place = Some(export.place().parse().unwrap());
        let mut case = Self { export, signer: Rc::new(signer), options, pems: Vec::new() };
        case.trust(&Rc::clone(&case.signer));
        case
    }

    fn circumstances() -> Circumstances {
        Circumstances {
            target: "./copy".to_owned(),
            verified_at: at("2026-12-01T00:00:00Z"),
            program: "audit-export".to_owned(),
        }
    }

    fn verify(&self) -> Report {
        let verified = verify(&self.export.files, &self.options, Self::circumstances(), &|_| {});
        futures::executor::block_on(verified).unwrap()
    }

    fn trust(&mut self, signer: &Signer) {
        self.options.keys.add_pem(&signer.public_key_pem()).unwrap();
        self.pems.push((signer.fingerprint(), signer.public_key_pem()));
    }
}

type Tamper = fn(&mut Case);

/// The tampering, and the code of the first break. `None`: the export stays complete.
#[rustfmt::skip]
const CASES: &[(&str, Tamper, Option<BreakCode>)] = &[
    ("nothing", |_| {}, None),
    ("nothing, deep", |case| case.options.deep = true, None),
    ("nothing, of unknown origin", |case| case.options.place = None, None),
    ("nothing, against what is expected", |case| {
        case.options.expectation.through = Some(at("2026-11-22T06:00:00Z"));
        case.options.expectation.head = case.export.head.as_ref().map(|head| head.sha256);
    }, None),
    ("more than expected: a head of before", |case| {
        case.options.expectation.head = case.export.digest(4).previous.map(|digest| digest.sha256);
    }, None),
    ("an empty window only", |case| {
        case.export = Export::new("acme", CONFIGURATION);
        case.export.add_window(&case.signer, &[]);
    }, None),
    ("an empty window only, of unknown origin", |case| {
        case.options.place = None;
        case.export = Export::new("acme", CONFIGURATION);
        case.export.add_window(&case.signer, &[]);
    }, None),

    // Formats
    ("other formats and back", add_formats, None),
    ("other formats and back, deep", |case| {
        add_formats(case);
        case.options.deep = true;
    }, None),
    ("Security Lake and back", add_lake, None),
    ("Security Lake and back, deep, of unknown origin", |case| {
        add_lake(case);
        case.options.deep = true;
        case.options.place = None;
    }, None),
    ("flip a byte in an object of Security Lake", |case| {
        add_lake(case);
        case.export.flip(&case.export.objects[7].clone(), 20);
    }, Some(BreakCode::AlteredObject)),
    ("remove an object of Security Lake", |case| {
        add_lake(case);
        case.export.files.remove(&case.export.objects[8]).unwrap();
    }, Some(BreakCode::MissingObject)),
    ("add an object of another class", |case| {
        add_lake(case);
        let name = case.export.objects[7].clone();
        case.export.copy(&name, &name.replace("_6003_", "_3002_"));
    }, Some(BreakCode::ExtraObject)),
    ("add an object of another tag", |case| {
        add_lake(case);
        let name = case.export.objects[7].clone();
        let (start, _) = name.rsplit_once('_').unwrap();
        case.export.copy(&name, &format!("{start}_00000000.parquet"));
    }, Some(BreakCode::ExtraObject)),
    ("other events in an object of Security Lake, deep", |case| {
        add_object_with(case, ExportFormat::OcsfParquet, |raw| raw.replacen("\"id\":\"0", "\"id\":\"1", 1));
    }, Some(BreakCode::ContentMismatch)),
    ("one event less in an object of Security Lake, deep", |case| {
        add_object_with(case, ExportFormat::OcsfParquet, |raw| raw.split_inclusive('\n').skip(1).collect());
    }, Some(BreakCode::ContentMismatch)),
    ("half a file of Security Lake, deep", |case| {
        case.options.deep = true;
        case.export.format = ExportFormat::OcsfParquet;
        let objects = case.export.add_objects(&[3]);
        let whole = case.export.files[&case.export.objects[7]].clone();
        put_object(case, objects, whole.slice(..whole.len() / 2));
    }, Some(BreakCode::ContentMismatch)),
    ("objects of another export in the same source", |case| {
        add_lake(case);
        let name = case.export.objects[7].clone();
        case.export.copy(&name, &name.replace(CONFIGURATION, OTHER_CONFIGURATION));
    }, None),
    ("state another class than the name", |case| {
        case.export.format = ExportFormat::OcsfParquet;
        case.export.add_window_with(&case.signer, &[2], |digest| {
            digest.objects[0].class = Some(Class::Authentication);
        });
    }, Some(BreakCode::InvalidDigest)),
    ("repeat a class of the same blocks", |case| {
        case.export.format = ExportFormat::OcsfParquet;
        case.export.add_window_with(&case.signer, &[2], |digest| {
            digest.objects.push(digest.objects[0].clone());
        });
    }, Some(BreakCode::Reordered)),
    ("flip a byte in an object of zstd", |case| {
        add_formats(case);
        case.export.flip(&case.export.objects[7].clone(), 20);
    }, Some(BreakCode::AlteredObject)),
    ("other events in an object of zstd, deep", |case| {
        add_object_with(case, ExportFormat::NdjsonZstd, |raw| raw.replacen("\"id\"", "\"ID\"", 1));
    }, Some(BreakCode::ContentMismatch)),
    ("one event more in an object of zstd, deep", |case| {
        add_object_with(case, ExportFormat::NdjsonZstd, |raw| raw + "{}\n");
    }, Some(BreakCode::ContentMismatch)),
    ("half a frame of zstd, deep", |case| {
        case.options.deep = true;
        case.export.format = ExportFormat::NdjsonZstd;
        let objects = case.export.add_objects(&[3]);
        let whole = case.export.files[&case.export.objects[7]].clone();
        put_object(case, objects, whole.slice(..whole.len() / 2));
    }, Some(BreakCode::ContentMismatch)),
    ("flip a byte in a Parquet file", |case| {
        add_formats(case);
        case.export.flip(&case.export.objects[9].clone(), 20);
    }, Some(BreakCode::AlteredObject)),
    ("other events in a Parquet file, deep", |case| {
        add_object_with(case, ExportFormat::Parquet, |raw| raw.replacen("\"id\"", "\"ID\"", 1));
    }, Some(BreakCode::ContentMismatch)),
    ("one event more in a Parquet file, deep", |case| {
        add_object_with(case, ExportFormat::Parquet, |raw| raw + "{}\n");
    }, Some(BreakCode::ContentMismatch)),
    ("one event less in a Parquet file, deep", |case| {
        add_object_with(case, ExportFormat::Parquet, |raw| raw.split_once('\n').unwrap().1.to_owned());
    }, Some(BreakCode::ContentMismatch)),
    ("half a Parquet file, deep", |case| {
        case.options.deep = true;
        case.export.format = ExportFormat::Parquet;
        let objects = case.export.add_objects(&[3]);
        let whole = case.export.files[&case.export.objects[7]].clone();
        put_object(case, objects, whole.slice(..whole.len() / 2));
    }, Some(BreakCode::ContentMismatch)),
    ("state another format than the objects have", |case| {
        case.export.add_window_with(&case.signer, &[2], |digest| {
            digest.format = Some(ExportFormat::NdjsonZstd);
            digest.version = Digest::version_for(&digest.encoding(), &digest.gaps);
        });
    }, Some(BreakCode::InvalidDigest)),
    ("state no format", |case| {
        case.export.format = ExportFormat::NdjsonZstd;
        case.export.add_window_with(&case.signer, &[2], |digest| digest.format = None);
    }, Some(BreakCode::InvalidDigest)),
    ("plant an object of another format", |case| {
        case.export.copy(&case.export.objects[0].clone(), &case.export.objects[0].replace(".gz", ".zst"));
    }, Some(BreakCode::ExtraObject)),

    // Filters
    ("filters and back", add_filters, None),
    ("filters and back, deep", |case| {
        add_filters(case);
        case.options.deep = true;
    }, None),
    ("an object of gzip with an event that its filter leaves out, deep", |case| {
        case.options.deep = true;
        add_filtered(case, LOGINS, &[LOGIN, QUERY]);
    }, Some(BreakCode::FilterMismatch)),
    ("an object of zstd with an event that its filter leaves out, deep", |case| {
        case.options.deep = true;
        case.export.format = ExportFormat::NdjsonZstd;
        add_filtered(case, LOGINS, &[QUERY, LOGIN]);
    }, Some(BreakCode::FilterMismatch)),
    ("an object of Security Lake with an event that its filter leaves out, deep", |case| {
        case.options.deep = true;
        case.export.format = ExportFormat::OcsfParquet;
        add_filtered(case, NO_QUERIES, &[QUERY]);
    }, Some(BreakCode::FilterMismatch)),
    ("an object with an event that its filter leaves out, not looked at", |case| {
        add_filtered(case, LOGINS, &[LOGIN, QUERY]);
    }, None),
    ("state no filter", |case| {
        case.export.filter = Some(filter(LOGINS));
        case.export.add_window_with(&case.signer, &[2], |digest| digest.filter = None);
    }, Some(BreakCode::InvalidDigest)),
    ("state a filter without the number of events that it left out", |case| {
        case.export.filter = Some(filter(LOGINS));
        case.export.add_window_with(&case.signer, &[2], |digest| digest.left_out = None);
    }, Some(BreakCode::InvalidDigest)),
    ("state another filter than the names of the objects", |case| {
        case.export.filter = Some(filter(LOGINS));
        case.export.add_window_with(&case.signer, &[2], |digest| {
            let other = filter(NO_QUERIES);
            digest.filter_sha256 = Some(other.sha256());
            digest.filter = Some(other);
        });
    }, Some(BreakCode::InvalidDigest)),
    ("plant an object of a filter", |case| {
        let name = case.export.objects[0].clone();
        case.export.copy(&name, &name.replace(".ndjson", "_00c0ffee.ndjson"));
    }, Some(BreakCode::ExtraObject)),
    ("remove an object of a filter", |case| {
        add_filtered(case, LOGINS, &[LOGIN]);
        case.export.files.remove(&case.export.objects[7].clone());
    }, Some(BreakCode::MissingObject)),

    // Objects
    ("flip a byte in an object", |case| case.export.flip(&case.export.objects[3].clone(), 30), Some(BreakCode::AlteredObject)),
    ("flip the first byte of an object", |case| case.export.flip(&case.export.objects[0].clone(), 0), Some(BreakCode::AlteredObject)),
    ("cut an object", |case| {
        let name = case.export.objects[1].clone();
        let bytes = case.export.files[&name].slice(..20);
        case.export.files.insert(name, bytes);
    }, Some(BreakCode::AlteredObject)),
    ("append to an object", |case| {
        let name = case.export.objects[1].clone();
        let bytes = [case.export.files[&name].as_ref(), b"x"].concat();
        case.export.files.insert(name, bytes.into());
    }, Some(BreakCode::AlteredObject)),
    ("empty an object", |case| {
        case.export.files.insert(case.export.objects[1].clone(), Bytes::new());
    }, Some(BreakCode::AlteredObject)),
    ("make an object huge", |case| {
        case.export.files.insert(case.export.objects[1].clone(), vec![0; 65 * 1024 * 1024].into());
    }, Some(BreakCode::AlteredObject)),
    ("drop the first object", |case| drop(case.export.files.remove(&case.export.objects[0])), Some(BreakCode::MissingObject)),
    ("drop an object", |case| drop(case.export.files.remove(&case.export.objects[4])), Some(BreakCode::MissingObject)),
    ("drop the last object", |case| drop(case.export.files.remove(&case.export.objects[6])), Some(BreakCode::MissingObject)),
    ("drop all objects", |case| case.export.files.retain(|name, _| name.starts_with('_')), Some(BreakCode::MissingObject)),
    ("swap two objects of a window", |case| {
        case.export.swap(&case.export.objects[0].clone(), &case.export.objects[1].clone());
    }, Some(BreakCode::Reordered)),
    ("swap two objects of different windows", |case| {
        case.export.swap(&case.export.objects[0].clone(), &case.export.objects[6].clone());
    }, Some(BreakCode::Reordered)),
    ("put one object over another", |case| {
        case.export.copy(&case.export.objects[6].clone(), &case.export.objects[2].clone());
    }, Some(BreakCode::Reordered)),
    ("rename an object", |case| {
        let bytes = case.export.files.remove(&case.export.objects[2]).unwrap();
        case.export.files.insert(Export::object_name_at("2026-11-21T23:30:00Z"), bytes);
    }, Some(BreakCode::MissingObject)),
    ("add an object inside of the period", |case| {
        case.export.files.insert(Export::object_name_at("2026-11-22T01:00:00Z"), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("add an object of before the first window", |case| {
        case.export.files.insert(Export::object_name_at("2026-11-01T00:00:00Z"), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("add an object of the last millisecond", |case| {
        case.export.files.insert(Export::object_name_at("2026-11-22T05:59:59.999Z"), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("add an object after the period: pending", |case| {
        case.export.files.insert(Export::object_name_at("2026-11-22T06:00:00Z"), Bytes::from_static(b"x"));
    }, None),
    ("add an object that was received a moment ago by the clock: pending", |case| {
        case.export.files.insert(Export::object_name_at("2026-12-01T00:15:00Z"), Bytes::from_static(b"x"));
    }, None),
    ("add an object of later than the clock and its skew", |case| {
        case.export.files.insert(Export::object_name_at("2026-12-01T00:15:00.001Z"), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("add an object of the next century", |case| {
        case.export.files.insert(Export::object_name_at("2099-01-01T00:00:00Z"), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("add an object after the period, with only proven files required", |case| {
        case.options.proven_required = true;
        case.export.files.insert(Export::object_name_at("2026-11-22T06:00:00Z"), Bytes::from_static(b"x"));
    }, Some(BreakCode::UnprovenFiles)),
    ("nothing, with only proven files required", |case| case.options.proven_required = true, None),
    ("a signature of the next digest, in the future", |case| {
        let signature = b"x".to_vec();
        let tag = case.export.is_tagged.then(|| DigestTag::of_signature(sha256(&signature)));
        let name = digest_name(5, at("2099-01-01T00:00:00Z"), tag) + SIGNATURE_SUFFIX;
        case.export.files.insert(name, signature.into());
    }, Some(BreakCode::MissingDigest)),
    ("files of a computer in a bucket", |case| {
        case.export.files.insert(".DS_Store".to_owned(), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("files of a computer in a copy", |case| {
        case.options.origin = Origin::Copy;
        for name in [".DS_Store", "_digests/.DS_Store", "date=2026-11-22/.DS_Store", "desktop.ini"] {
            case.export.files.insert(name.to_owned(), Bytes::from_static(b"x"));
        }
    }, None),
    ("files of a computer in another bucket", |case| {
        case.options.origin = Origin::Replica;
        case.export.files.insert("desktop.ini".to_owned(), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("a file of a computer among the objects of a copy", |case| {
        case.options.origin = Origin::Copy;
        case.export.files.insert("date=2026-11-22/desktop.ini".to_owned(), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("a digest's neighbour behind many files of a computer in a copy", |case| {
        case.options.origin = Origin::Copy;
        for number in 0..200 {
            case.export.files.insert(format!("_digests/._{number}"), Bytes::from_static(b"x"));
        }
        case.export.files.insert("_digests/evil.json".to_owned(), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("a file of a computer that readers would read", |case| {
        case.options.origin = Origin::Copy;
        case.export.files.insert("date=2026-11-22/._a-b.ndjson.gz".to_owned(), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("add a file of another kind", |case| {
        case.export.files.insert("date=2026-11-22/readme.txt".to_owned(), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),
    ("add a file beside the days", |case| {
        case.export.files.insert("zzz".to_owned(), Bytes::new());
    }, Some(BreakCode::ExtraObject)),
    ("the console's folder markers", |case| {
        for name in ["", "_digests/", "date=2026-11-22/"] {
            case.export.files.insert(name.to_owned(), Bytes::new());
        }
    }, None),

    // Digests
    ("flip a byte in a digest", |case| case.export.flip(&case.export.digests[2].clone(), 40), Some(BreakCode::AlteredDigest)),
    ("flip a byte in the newest digest", |case| case.export.flip(&case.export.digests[4].clone(), 40), Some(BreakCode::BadSignature)),
    ("flip a byte in a signature", |case| case.export.flip(&case.export.signature(2), 20), Some(BreakCode::BadSignature)),
    ("flip a byte in the newest signature", |case| case.export.flip(&case.export.signature(4), 20), Some(BreakCode::BadSignature)),
    ("another good signature", |case| {
        let name = case.export.signature(1);
        let signature = case.signer.sign(&case.export.files[&case.export.digests[1]]);
        case.export.files.insert(name, signature.into());
    }, Some(BreakCode::BadSignature)),
    ("an endless signature", |case| {
        case.export.files.insert(case.export.signature(1), vec![0; 1_000].into());
    }, Some(BreakCode::BadSignature)),
    ("an endless digest", |case| {
        case.export.files.insert(case.export.digests[1].clone(), vec![b' '; 500 * 1024].into());
    }, Some(BreakCode::AlteredDigest)),
    ("drop a signature", |case| drop(case.export.files.remove(&case.export.signature(3))), Some(BreakCode::MissingSignature)),
    ("drop the newest signature", |case| drop(case.export.files.remove(&case.export.signature(4))), Some(BreakCode::MissingSignature)),
    ("drop a digest in the middle", |case| case.export.remove_digest(2), Some(BreakCode::MissingDigest)),
    ("drop a digest in the middle and keep its signature", |case| {
        drop(case.export.files.remove(&case.export.digests[2]));
    }, Some(BreakCode::MissingDigest)),
    ("drop the first digest", |case| case.export.remove_digest(0), Some(BreakCode::MissingDigest)),
    ("drop the two oldest digests", |case| { case.export.remove_digest(0); case.export.remove_digest(1); }, Some(BreakCode::MissingDigest)),
    ("drop the last digest, unnoticed", |case| case.export.remove_digest(4), None),
    ("drop the last digest and keep its signature: of a run under way", |case| {
        drop(case.export.files.remove(&case.export.digests[4]));
    }, None),
    ("a signature far beyond the last digest", |case| {
        case.export.copy(&case.export.signature(4), "_digests/0000000009_20261122T140000000Z.json.sig");
    }, Some(BreakCode::MissingDigest)),
    ("a signature of a second digest", |case| {
        case.export.copy(&case.export.signature(2), "_digests/0000000002_20261122T140000000Z.json.sig");
    }, Some(BreakCode::MissingDigest)),
    ("drop the last digest, with a time expected", |case| {
        case.export.remove_digest(4);
        case.options.expectation.through = Some(at("2026-11-22T06:00:00Z"));
    }, Some(BreakCode::TruncatedChain)),
    ("drop the last digest, with a head expected", |case| {
        case.export.remove_digest(4);
        case.options.expectation.head = case.export.head.as_ref().map(|head| head.sha256);
    }, Some(BreakCode::TruncatedChain)),
    ("a bucket that lacks the service's newest digest", |case| {
        case.export.remove_digest(4);
        case.options.expectation.through = Some(at("2026-11-22T06:00:00Z"));
        case.options.expectation.source = ExpectationSource::Service;
    }, Some(BreakCode::TruncatedChain)),
    ("a copy that lacks the service's newest export", |case| {
        case.export.remove_digest(4);
        case.options.expectation.through = Some(at("2026-11-22T06:00:00Z"));
        case.options.expectation.source = ExpectationSource::Service;
        case.options.origin = Origin::Copy;
    }, Some(BreakCode::OutdatedCopy)),
    ("a copy that lacks the service's newest digest of this place", |case| {
        case.export.remove_digest(4);
        case.options.expectation.head = case.export.head.as_ref().map(|head| head.sha256);
        case.options.expectation.source = ExpectationSource::Service;
        case.options.origin = Origin::Copy;
    }, Some(BreakCode::OutdatedCopy)),
    ("a copy without what the person expects", |case| {
        case.export.remove_digest(4);
        case.options.expectation.through = Some(at("2026-11-22T06:00:00Z"));
        case.options.origin = Origin::Copy;
    }, Some(BreakCode::TruncatedChain)),
    ("an old copy with a changed object", |case| {
        case.export.remove_digest(4);
        case.options.expectation.through = Some(at("2026-11-22T06:00:00Z"));
        case.options.expectation.source = ExpectationSource::Service;
        case.options.origin = Origin::Copy;
        case.export.flip(&case.export.objects[3].clone(), 30);
    }, Some(BreakCode::AlteredObject)),
    ("an empty copy", |case| {
        case.export.files.clear();
        case.options.expectation.through = Some(at("2026-11-22T06:00:00Z"));
        case.options.expectation.source = ExpectationSource::Service;
        case.options.origin = Origin::Copy;
    }, Some(BreakCode::NoDigests)),
    ("cut the tail with its objects", |case| {
        case.export.remove_digest(4);
        case.export.remove_digest(3);
        for object in case.export.objects.split_off(3) {
            case.export.files.remove(&object);
        }
        case.options.expectation.through = Some(at("2026-11-22T03:00:00Z"));
    }, Some(BreakCode::TruncatedChain)),
    ("drop all digests", |case| case.export.files.retain(|name, _| name.ends_with(SIGNATURE_SUFFIX) || name.starts_with("date")), Some(BreakCode::NoDigests)),
    ("drop everything", |case| case.export.files.clear(), Some(BreakCode::NoDigests)),
    ("swap two digests", |case| {
        for (one, other) in [(case.export.digests[1].clone(), case.export.digests[3].clone()), (case.export.signature(1), case.export.signature(3))] {
            case.export.swap(&one, &other);
        }
    }, Some(BreakCode::ReplayedDigest)),
    ("swap two digests without their signatures", |case| {
        case.export.swap(&case.export.digests[1].clone(), &case.export.digests[3].clone());
    }, Some(BreakCode::AlteredDigest)),
    ("replay an old digest as the newest", |case| {
        case.export.copy(&case.export.digests[1].clone(), "_digests/0000000005_20261122T080000000Z.json");
        case.export.copy(&case.export.signature(1), "_digests/0000000005_20261122T080000000Z.json.sig");
    }, Some(BreakCode::ReplayedDigest)),
    ("replay an old digest in the place of a newer one", |case| {
        case.export.copy(&case.export.digests[1].clone(), &case.export.digests[4].clone());
        case.export.copy(&case.export.signature(1), &case.export.signature(4));
    }, Some(BreakCode::ReplayedDigest)),
    ("replay an old digest beside another one", |case| {
        case.export.copy(&case.export.digests[1].clone(), "_digests/0000000003_20261122T020000000Z.json");
        case.export.copy(&case.export.signature(1), "_digests/0000000003_20261122T020000000Z.json.sig");
    }, Some(BreakCode::ReplayedDigest)),
    ("sign a changed digest with a foreign key", |case| {
        let foreign = Signer::generate();
        case.export.change_digest(&foreign, 2, |digest| digest.signing_key = foreign.fingerprint());
    }, Some(BreakCode::WrongKey)),
    ("sign a changed digest with a foreign key under the right name", |case| {
        case.export.change_digest(&Signer::generate(), 2, |digest| digest.objects.clear());
        case.export.change_digest(&Signer::generate(), 3, |digest| digest.objects.clear());
    }, Some(BreakCode::AlteredDigest)),
    ("sign the newest digest with a foreign key", |case| {
        let foreign = Signer::generate();
        case.export.change_digest(&foreign, 4, |digest| digest.signing_key = foreign.fingerprint());
    }, Some(BreakCode::WrongKey)),
    ("sign the newest digest with a foreign key under the right name", |case| {
        case.export.change_digest(&Signer::generate(), 4, |digest| digest.objects.clear());
    }, Some(BreakCode::BadSignature)),
    ("make everything again with a foreign key", |case| {
        case.export = Export::sample(&Signer::generate(), case.export.is_tagged);
    }, Some(BreakCode::WrongKey)),
    ("no key at all", |case| case.options.keys = PublicKeys::default(), Some(BreakCode::WrongKey)),
    ("a digest signed twice with other contents", |case| {
        case.export.change_digest(&case.signer, 2, |digest| digest.gaps.push(gap(digest.window.from, digest.window.to)));
    }, Some(BreakCode::ForkedChain)),
    ("a second newest digest", |case| {
        let (head, cursor) = (case.export.digest(4).previous, case.export.digest(4).window.first_block);
        (case.export.head, case.export.sequence, case.export.cursor) = (head, 4, cursor);
        case.export.add_window_with(&case.signer, &[], |digest| {
            digest.window = domain::digest::DigestWindow::new(cursor, BlockId::lowest_at(at("2026-11-22T05:00:00Z")));
        });
    }, Some(BreakCode::ForkedChain)),
    ("splice: another configuration's digest as the newest", |case| {
        let mut other = other_export(case);
        for _ in 0..6 { other.add_window(&case.signer, &[]); }
        case.export.put_digest(&other.digests[5], other.files[&other.digests[5]].to_vec(), other.files[&other.signature(5)].to_vec());
    }, Some(BreakCode::SplicedChain)),
    ("splice: another configuration's digest as the newest, of unknown origin", |case| {
        case.options.place = None;
        let mut other = other_export(case);
        for _ in 0..6 { other.add_window(&case.signer, &[]); }
        case.export.put_digest(&other.digests[5], other.files[&other.digests[5]].to_vec(), other.files[&other.signature(5)].to_vec());
    }, Some(BreakCode::SplicedChain)),
    ("splice: another configuration's digest in the middle", |case| {
        let other = { let mut other = other_export(case); for _ in 0..3 { other.add_window(&case.signer, &[]); } other };
        case.export.put_digest(&other.digests[2], other.files[&other.digests[2]].to_vec(), other.files[&other.signature(2)].to_vec());
    }, Some(BreakCode::SplicedChain)),
    ("splice: another tenant's digest in the middle", |case| {
        case.export.change_digest(&case.signer, 2, |digest| digest.tenant_id = TenantId::parse("evil").unwrap());
    }, Some(BreakCode::SplicedChain)),
    ("splice: the old half of another chain", |case| {
        let other = { let mut other = other_export(case); for _ in 0..3 { other.add_window(&case.signer, &[1]); } other };
        for sequence in 0..3 {
            case.export.put_digest(&other.digests[sequence], other.files[&other.digests[sequence]].to_vec(), other.files[&other.signature(sequence)].to_vec());
        }
    }, Some(BreakCode::SplicedChain)),
    ("the whole export of another configuration", |case| {
        case.export = other_export(case);
        case.export.add_window(&case.signer, &[1]);
    }, Some(BreakCode::SplicedChain)),
    ("the whole export of another configuration, in a folder of this one's name", |case| {
        case.options.configuration_id = case.options.place.take().map(|place| place.configuration_id());
        case.export = other_export(case);
        case.export.add_window(&case.signer, &[1]);
    }, Some(BreakCode::SplicedChain)),
    ("a changed window", |case| {
        case.export.change_digest(&Signer::generate(), 1, |digest| {
            digest.window.first_block = digest.window.first_block.next();
        });
    }, Some(BreakCode::AlteredDigest)),
    ("a signed hole between two windows", |case| {
        let cursor = BlockId::lowest_at(at("2026-11-22T06:00:00.001Z"));
        case.export.cursor = cursor;
        case.export.add_window(&case.signer, &[1]);
    }, Some(BreakCode::WindowGap)),
    ("a signed overlap of two windows", |case| {
        case.export.cursor = BlockId::lowest_at(at("2026-11-22T05:59:59.999Z"));
        case.export.add_window(&case.signer, &[]);
    }, Some(BreakCode::WindowGap)),
    ("a signed hole between two sequence numbers", |case| {
        case.export.sequence = 9;
        case.export.add_window(&case.signer, &[]);
    }, Some(BreakCode::WindowGap)),
    ("a window that ends before it begins", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| digest.window.first_block = digest.window.end_block.next());
    }, Some(BreakCode::InvalidDigest)),
    ("a window whose times are not its blocks'", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| digest.window.from = at("2026-11-22T05:00:00Z"));
    }, Some(BreakCode::InvalidDigest)),
    ("a later digest without one before it", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| digest.previous = None);
    }, Some(BreakCode::InvalidDigest)),
    ("a reference to what is no digest", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| {
            if let Some(previous) = &mut digest.previous { previous.key.push('x'); }
        });
    }, Some(BreakCode::InvalidDigest)),
    ("signed objects out of order", |case| {
        case.export.add_window_with(&case.signer, &[1, 1], |digest| digest.objects.reverse());
    }, Some(BreakCode::Reordered)),
    ("the same object named twice", |case| {
        case.export.add_window_with(&case.signer, &[1], |digest| digest.objects.push(digest.objects[0].clone()));
    }, Some(BreakCode::Reordered)),
    ("a signed object of outside of the window", |case| {
        case.export.add_window_with(&case.signer, &[1], |digest| {
            digest.window.first_block = digest.objects[0].last_block.next();
            digest.window.from = digest.window.first_block.timestamp();
        });
    }, Some(BreakCode::InvalidDigest)),
    ("a signed object under a key that isn't its blocks'", |case| {
        case.export.add_window_with(&case.signer, &[1], |digest| digest.objects[0].key.push('x'));
    }, Some(BreakCode::InvalidDigest)),
    ("a signed object in another configuration's folder", |case| {
        case.export.add_window_with(&case.signer, &[1], |digest| {
            digest.objects[0].key = digest.objects[0].key.replace(CONFIGURATION, OTHER_CONFIGURATION);
        });
    }, Some(BreakCode::InvalidDigest)),
    ("an unknown version", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| digest.version = 7);
    }, Some(BreakCode::UnknownVersion)),
    ("an unknown version in the middle", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| digest.version = 7);
        case.export.add_window(&case.signer, &[]);
    }, Some(BreakCode::UnknownVersion)),
    ("a signed digest in another spelling", |case| {
        let bytes = [case.export.files[&case.export.digests[4]].as_ref(), b"\n"].concat();
        case.export.sign_again(&case.signer, 4, bytes);
    }, Some(BreakCode::InvalidDigest)),
    ("signed bytes that are no digest", |case| {
        let signature = case.signer.sign(b"{}");
        case.export.put_digest("_digests/0000000005_20261122T080000000Z.json", b"{}".to_vec(), signature);
    }, Some(BreakCode::InvalidDigest)),
    ("rubbish under a digest's name", |case| {
        case.export.put_digest("_digests/0000000005_20261122T080000000Z.json", b"x".to_vec(), b"x".to_vec());
    }, Some(BreakCode::BadSignature)),
    ("a file of another kind among the digests", |case| {
        case.export.files.insert("_digests/notes.txt".to_owned(), Bytes::from_static(b"x"));
    }, Some(BreakCode::ExtraObject)),

    // Keys
    ("keys were rotated, and both are given", |case| {
        let newer = Signer::generate();
        case.export.add_window(&newer, &[2]);
        case.trust(&newer);
    }, None),
    ("keys were rotated, and the old one is not given", |case| {
        let newer = Signer::generate();
        case.export.add_window(&newer, &[2]);
        case.options.keys = PublicKeys::default();
        case.trust(&newer);
    }, Some(BreakCode::WrongKey)),
    ("keys were rotated, and the new one is not given", |case| {
        case.export.add_window(&Signer::generate(), &[2]);
    }, Some(BreakCode::WrongKey)),
    ("the right key's name on a digest of another trusted key", |case| {
        let newer = Signer::generate();
        case.trust(&newer);
        case.export.change_digest(&newer, 4, |_| {});
    }, Some(BreakCode::BadSignature)),

    // Contents
    ("a digest with a wrong CRC-32, not looked at", |case| {
        case.export.add_window_with(&case.signer, &[3], |digest| digest.objects[0].crc32 ^= 1);
    }, None),
    ("a digest with a wrong CRC-32", |case| {
        case.options.deep = true;
        case.export.add_window_with(&case.signer, &[3], |digest| digest.objects[0].crc32 ^= 1);
    }, Some(BreakCode::ContentMismatch)),
    ("a digest with a wrong number of events", |case| {
        case.options.deep = true;
        case.export.add_window_with(&case.signer, &[3], |digest| digest.objects[0].events += 1);
    }, Some(BreakCode::ContentMismatch)),
    ("a digest with too short a length", |case| {
        case.options.deep = true;
        case.export.add_window_with(&case.signer, &[3], |digest| digest.objects[0].raw_length -= 1);
    }, Some(BreakCode::ContentMismatch)),
    ("a digest with too great a length", |case| {
        case.options.deep = true;
        case.export.add_window_with(&case.signer, &[3], |digest| digest.objects[0].raw_length += 1);
    }, Some(BreakCode::ContentMismatch)),
    ("a signed object with something behind its end", |case| {
        case.options.deep = true;
        let objects = case.export.add_objects(&[1]);
        let name = case.export.objects[7].clone();
        let longer = [case.export.files[&name].as_ref(), case.export.files[&name].as_ref()].concat();
        case.export.files.insert(name, longer.clone().into());
        case.export.add_window_with(&case.signer, &[], |digest| {
            digest.objects = objects;
            digest.objects[0].sha256 = sha256(&longer);
            digest.objects[0].stored_length = longer.len() as u64;
        });
    }, Some(BreakCode::ContentMismatch)),
    ("a signed gap", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| digest.gaps.push(gap(digest.window.from, at("2026-11-22T07:00:00Z"))));
    }, None),
    ("a signed gap of outside of its window", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| digest.gaps.push(gap(digest.window.from, at("2026-11-22T09:00:00Z"))));
    }, Some(BreakCode::InvalidDigest)),
    ("a signed object in a gap", |case| {
        case.export.add_window_with(&case.signer, &[1], |digest| digest.gaps.push(gap(digest.window.from, at("2026-11-22T07:00:00Z"))));
    }, Some(BreakCode::InvalidDigest)),

    // Planted names
    ("plant a digest of the newest sequence with another tag", |case| {
        plant(case, 4, Some(LOWEST_TAG), Some(b"x"));
    }, Some(BreakCode::BadSignature)),
    ("plant a digest of the newest sequence that is listed behind it", |case| {
        plant(case, 4, Some(HIGHEST_TAG), Some(b"x"));
    }, Some(BreakCode::BadSignature)),
    ("plant a digest of the newest sequence without a tag", |case| {
        case.export = Export::sample(&case.signer, true);
        plant(case, 4, None, Some(b"x"));
    }, Some(BreakCode::BadSignature)),
    ("plant a digest in the middle with another tag", |case| {
        plant(case, 2, Some(LOWEST_TAG), Some(b"x"));
        plant(case, 2, Some(HIGHEST_TAG), Some(b"x"));
    }, Some(BreakCode::BadSignature)),
    ("plant a digest in the middle without a tag", |case| {
        case.export = Export::sample(&case.signer, true);
        plant(case, 2, None, Some(b"x"));
    }, Some(BreakCode::BadSignature)),
    ("plant a digest of the next sequence", |case| {
        plant(case, 5, Some(LOWEST_TAG), Some(b"x"));
    }, Some(BreakCode::BadSignature)),
    ("plant a digest without a signature", |case| {
        plant(case, 4, Some(HIGHEST_TAG), Some(b"x"));
        case.export.files.remove(&format!("{}{SIGNATURE_SUFFIX}", planted_name(4, Some(HIGHEST_TAG))));
    }, Some(BreakCode::MissingSignature)),
    ("plant a signature of the newest sequence with another tag", |case| {
        plant(case, 4, Some(HIGHEST_TAG), None);
    }, Some(BreakCode::MissingDigest)),
    ("plant a signature in the middle with another tag", |case| {
        plant(case, 2, Some(LOWEST_TAG), None);
    }, Some(BreakCode::MissingDigest)),
    ("plant a signature of the next sequence whose tag is not its own", |case| {
        plant(case, 5, Some(LOWEST_TAG), None);
    }, Some(BreakCode::BadSignature)),
    ("one signature of the next sequence: of a run under way", |case| {
        let tag = DigestTag::of_signature(sha256(b"a signature")).to_string();
        plant_files(case, 5, Some(&tag), None, b"a signature");
    }, None),
    ("two signatures of the next sequence", |case| {
        for signature in [&b"a signature"[..], b"another"] {
            let tag = DigestTag::of_signature(sha256(signature)).to_string();
            plant_files(case, 5, Some(&tag), None, signature);
        }
    }, Some(BreakCode::MissingDigest)),
    ("copy the newest digest under another tag", |case| {
        copy_of_digest(case, 4, Some(HIGHEST_TAG));
    }, Some(BreakCode::ReplayedDigest)),
    ("copy a digest of the middle under another tag", |case| {
        copy_of_digest(case, 2, Some(HIGHEST_TAG));
    }, Some(BreakCode::ReplayedDigest)),
    ("rename the newest digest", |case| {
        copy_of_digest(case, 4, Some(HIGHEST_TAG));
        case.export.remove_digest(4);
    }, Some(BreakCode::ReplayedDigest)),
    ("rename a digest of the middle", |case| {
        copy_of_digest(case, 2, Some(LOWEST_TAG));
        case.export.remove_digest(2);
    }, Some(BreakCode::ReplayedDigest)),
    ("copy a tagged digest without its tag", |case| {
        case.export = Export::sample(&case.signer, true);
        copy_of_digest(case, 2, None);
    }, Some(BreakCode::ForkedChain)),
    ("copy an untagged digest under the tag that it would have", |case| {
        case.export = Export::sample(&case.signer, false);
        let tag = DigestTag::of_signature(sha256(&case.export.files[&case.export.signature(2)])).to_string();
        copy_of_digest(case, 2, Some(&tag));
    }, Some(BreakCode::ForkedChain)),
    ("the service was updated: untagged digests, then tagged ones", |case| {
        case.export = Export::sample(&case.signer, false);
        case.export.is_tagged = true;
        case.export.add_window(&case.signer, &[2]);
        case.export.add_window(&case.signer, &[3]);
        case.options.whole_required = true;
    }, None),
    ("a signed reference whose name is not of the signature that it names", |case| {
        case.export = Export::sample(&case.signer, true);
        case.export.add_window_with(&case.signer, &[], |digest| {
            if let Some(previous) = &mut digest.previous { previous.signature_sha256 = Hex32([7; 32]); }
        });
    }, Some(BreakCode::InvalidDigest)),

    // Skipped blocks
    ("a skipped block", |case| skip(case, &[], |digest| vec![at_start(digest).next()]), None),
    ("a skipped block between the blocks of an object", |case| {
        let mut objects = case.export.add_objects(&[1, 1]);
        let second = objects.pop().unwrap();
        case.export.add_window_with(&case.signer, &[], |digest| {
            digest.gaps = vec![Gap::of_corrupt_block(objects[0].last_block.next())];
            digest.version = Digest::version_for(&digest.encoding(), &digest.gaps);
            digest.objects = objects;
            digest.objects.push(second);
        });
    }, None),
    ("two skipped blocks of one millisecond", |case| {
        skip(case, &[], |digest| vec![at_start(digest).next(), at_start(digest).next().next()]);
    }, None),
    ("the same block skipped twice", |case| {
        skip(case, &[], |digest| vec![at_start(digest).next(), at_start(digest).next()]);
    }, Some(BreakCode::InvalidDigest)),
    ("skipped blocks out of order", |case| {
        skip(case, &[], |digest| vec![at_start(digest).next(), at_start(digest)]);
    }, Some(BreakCode::InvalidDigest)),
    ("a skipped block of after the window", |case| {
        skip(case, &[], |digest| vec![digest.window.end_block]);
    }, Some(BreakCode::InvalidDigest)),
    ("a skipped block of before the window", |case| {
        skip(case, &[], |digest| vec![at_start(digest).previous()]);
    }, Some(BreakCode::InvalidDigest)),
    ("a skipped block that is the first of an object", |case| {
        skip(case, &[4], |digest| vec![digest.objects[0].first_block]);
    }, Some(BreakCode::InvalidDigest)),
    ("a skipped block that is the last of an object", |case| {
        skip(case, &[4], |digest| vec![digest.objects[0].last_block]);
    }, Some(BreakCode::InvalidDigest)),
    ("a skipped block of past the retention", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| {
            digest.gaps = vec![gap(digest.window.from, at("2026-11-22T07:00:00Z")), Gap::of_corrupt_block(at_start(digest).next())];
            digest.version = Digest::version_for(&digest.encoding(), &digest.gaps);
        });
    }, Some(BreakCode::InvalidDigest)),
    ("a skipped block after what is past the retention", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| {
            let block = BlockId::lowest_at(at("2026-11-22T07:00:00Z"));
            digest.gaps = vec![gap(digest.window.from, block.timestamp()), Gap::of_corrupt_block(block)];
            digest.version = Digest::version_for(&digest.encoding(), &digest.gaps);
        });
    }, None),
    ("a skipped block in a digest of version 1", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| {
            digest.gaps = vec![Gap::of_corrupt_block(at_start(digest).next())];
        });
    }, Some(BreakCode::InvalidDigest)),
    ("version 2 without a skipped block", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| digest.version = 2);
    }, Some(BreakCode::InvalidDigest)),
    ("a skipped block with the reason of another gap", |case| {
        case.export.add_window_with(&case.signer, &[], |digest| {
            digest.gaps = vec![Gap { reason: GapReason::RetentionEnded, ..Gap::of_corrupt_block(at_start(digest).next()) }];
            digest.version = 2;
        });
    }, Some(BreakCode::InvalidDigest)),

    // Places
    ("another destination from the fourth digest on", |case| move_after(case, 3), None),
    ("another destination, and its first digest is lost", |case| {
        move_after(case, 3);
        case.export.remove_digest(3);
    }, Some(BreakCode::MissingDigest)),
    ("another destination, and an object there is lost", |case| {
        move_after(case, 3);
        case.export.files.remove(&case.export.objects[4]);
    }, Some(BreakCode::MissingObject)),
    ("another destination, which ended a window that was in part delivered", |case| first_after_move(case, &[2]), None),
    ("another destination, which ended a window without events", |case| first_after_move(case, &[]), None),
    ("the same of unknown origin: the digest before it is looked for", |case| {
        first_after_move(case, &[2]);
        case.options.place = None;
    }, Some(BreakCode::MissingDigest)),
    ("a single digest whose objects are in another place than the digest before it, and not here", |case| {
        first_after_move(case, &[2]);
        let mut digest = case.export.digest(5);
        for object in &mut digest.objects { object.bucket = BucketName::parse("other-audit").unwrap(); }
        let bytes = digest.to_bytes().unwrap();
        case.export.sign_again(&case.signer, 5, bytes);
    }, Some(BreakCode::WrongPlace)),
    ("the first digest of all, and its objects are in another place", |case| {
        case.export = Export::new("acme", CONFIGURATION);
        case.export.add_window(&case.signer, &[2]);
        case.export.files.remove(&case.export.objects[0]);
        case.options.place = Some(format!("s3://copy/{CONFIGURATION}").parse().unwrap());
    }, Some(BreakCode::WrongPlace)),
    ("the destination went away and came back", |case| {
        let here = case.export.destination.clone();
        case.export.destination.bucket_name = BucketName::parse("other-audit").unwrap();
        case.export.add_window(&case.signer, &[2]);
        case.export.files.remove(&case.export.objects[7]);
        case.export.remove_digest(5);
        case.export.destination = here;
        case.export.add_window(&case.signer, &[2]);
    }, None),
    ("the whole was required, and is here", |case| case.options.whole_required = true, None),
    ("the whole was required, and the destination was changed", |case| {
        move_after(case, 3);
        case.options.whole_required = true;
    }, Some(BreakCode::NotWhole)),
    ("the whole was required, and the destination went away and came back", |case| {
        away_and_back(case);
        case.options.whole_required = true;
    }, Some(BreakCode::NotWhole)),
    ("the destination went away and came back, and the end of the old stretch was cut off, unnoticed", |case| {
        away_and_back(case);
        cut_off(case, 3);
    }, None),
    ("the destination went away and came back, and the end that was cut off is expected", |case| {
        away_and_back(case);
        case.options.expectation.head = Some(sha256(&case.export.files[&case.export.digests[3]]));
        cut_off(case, 3);
    }, Some(BreakCode::TruncatedChain)),
    ("the whole was required, and only what is new was looked at", |case| {
        case.options.since = Some(at("2026-11-22T01:00:00Z"));
        case.options.whole_required = true;
    }, Some(BreakCode::NotWhole)),
    ("a copy in another bucket", |case| {
        case.options.place = Some(format!("s3://copy/{CONFIGURATION}").parse().unwrap());
    }, None),
    ("a copy in another bucket with an object less", |case| {
        case.options.place = Some(format!("s3://copy/{CONFIGURATION}").parse().unwrap());
        case.export.files.remove(&case.export.objects[4]);
    }, Some(BreakCode::WrongPlace)),
    ("a copy in another bucket with a digest less", |case| {
        case.options.place = Some(format!("s3://copy/{CONFIGURATION}").parse().unwrap());
        case.export.remove_digest(2);
    }, Some(BreakCode::WrongPlace)),

    // A part
    ("only what is new", |case| case.options.since = Some(at("2026-11-22T01:00:00Z")), None),
    ("only what is new, the old is gone", |case| {
        case.options.since = Some(at("2026-11-22T01:00:00Z"));
        case.export.remove_digest(0);
        case.export.remove_digest(1);
    }, None),
    ("only what is new, and it is broken", |case| {
        case.options.since = Some(at("2026-11-22T01:00:00Z"));
        case.export.flip(&case.export.objects[3].clone(), 30);
    }, Some(BreakCode::AlteredObject)),
    ("only what is new, and its first digest is gone", |case| {
        case.options.since = Some(at("2026-11-22T01:00:00Z"));
        case.export.remove_digest(2);
    }, Some(BreakCode::MissingDigest)),
];

/// Returns an empty export of another configuration of the same tenant.
fn other_export(case: &Case) -> Export {
    Export { is_tagged: case.export.is_tagged, ..Export::new("acme", OTHER_CONFIGURATION) }
}

const LOWEST_TAG: &str = "0000000000000000";
const HIGHEST_TAG: &str = "ffffffffffffffff";

/// Returns the name of a digest of the sample, or of the next one, with another tag.
fn planted_name(sequence: u64, tag: Option<&str>) -> String {
    let tag = tag.map(|tag| tag.parse().unwrap());
    digest_name(
        sequence,
        at("2026-11-21T22:00:00Z").saturating_add(support::WINDOW * u32::try_from(sequence).unwrap()),
        tag,
    )
}

fn plant_files(case: &mut Case, sequence: u64, tag: Option<&str>, digest: Option<&[u8]>, signature: &[u8]) {
    let name = planted_name(sequence, tag);
    case.export.files.insert(format!("{name}{SIGNATURE_SUFFIX}"), Bytes::copy_from_slice(signature));
    if let Some(digest) = digest {
        case.export.files.insert(name, Bytes::copy_from_slice(digest));
    }
}

fn plant(case: &mut Case, sequence: u64, tag: Option<&str>, digest: Option<&[u8]>) {
    plant_files(case, sequence, tag, digest, b"x");
}

/// Copies a digest and its signature to a name with another tag.
fn copy_of_digest(case: &mut Case, sequence: usize, tag: Option<&str>) {
    let digest = case.export.files[&case.export.digests[sequence]].clone();
    let signature = case.export.files[&case.export.signature(sequence)].clone();
    plant_files(case, sequence as u64, tag, Some(&digest), &signature);
}

/// Adds a window of each other format, and one of the first.
fn add_formats(case: &mut Case) {
    for format in [ExportFormat::NdjsonZstd, ExportFormat::Parquet, ExportFormat::NdjsonGzip] {
        case.export.format = format;
        case.export.add_window(&case.signer, &[3, 1]);
    }
}

const LOGINS: &str = r#"{"include":{"actions":["LOGIN"]}}"#;
const NO_QUERIES: &str = r#"{"exclude":{"actions":["QUERY"]}}"#;
const LOGIN: &str = r#"{"id":"1","eventTimestamp":"2026-11-22T06:00:00Z","action":"LOGIN"}"#;
const QUERY: &str = r#"{"id":"2","eventTimestamp":"2026-11-22T06:00:01Z","action":"QUERY"}"#;

fn filter(json: &str) -> EventFilter {
    serde_json::from_str(json).unwrap()
}

/// Adds a window with a filter that left out four events, and an object of these lines.
fn add_filtered(case: &mut Case, json: &str, lines: &[&str]) {
    case.export.filter = Some(filter(json));
    case.export.left_out = 4;
    case.export.add_window_of(&case.signer, &[lines]);
    case.export.filter = None;
}

/// Adds windows with filters, one of which leaves out everything, and one without.
fn add_filters(case: &mut Case) {
    add_filtered(case, LOGINS, &[LOGIN, LOGIN]);
    case.export.format = ExportFormat::NdjsonZstd;
    add_filtered(case, NO_QUERIES, &[LOGIN]);
    case.export.filter = Some(filter(LOGINS));
    case.export.left_out = 7;
    case.export.add_window(&case.signer, &[]);
    case.export.filter = None;
    case.export.add_window(&case.signer, &[1]);
}

#[test]
fn a_report_shows_filters_and_how_many_events_they_left_out() {
    let mut case = Case::new();
    add_filters(&mut case);
    let report = case.verify();
    assert_eq!((report.outcome, report.is_whole, report.digests.left_out), (VerificationOutcome::Complete, true, 15));
    let used: Vec<_> =
        report.filters.iter().map(|used| (used.filter.to_string(), used.digests, used.left_out)).collect();
    assert_eq!(used, [(LOGINS.to_owned(), 2, 11), (NO_QUERIES.to_owned(), 1, 4)]);
    let text = report.to_string();
    for line in [
        "Events          27, 15 left out by filters\n",
        "received events that the customer left out (2)\n",
        "  11 left out in 2 digests (sequence 5 to 7) by {\"include\":{\"actions\":[\"LOGIN\"]}}\n",
        "  4 left out in 1 digest (sequence 6) by {\"exclude\":{\"actions\":[\"QUERY\"]}}\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!Case::new().verify().to_string().contains("left out"));
}

/// Adds a window in the layout of Security Lake, and one of the first format.
fn add_lake(case: &mut Case) {
    for format in [ExportFormat::OcsfParquet, ExportFormat::NdjsonGzip] {
        case.export.format = format;
        case.export.add_window(&case.signer, &[3, 1]);
    }
}

/// Adds a window whose object holds other events than its digest says. A digest is signed by the service: only a bug of the
/// service leads to it.
fn add_object_with(case: &mut Case, format: ExportFormat, change: fn(String) -> String) {
    case.options.deep = true;
    case.export.format = format;
    let objects = case.export.add_objects(&[3]);
    let raw = support::lines_of(format, &case.export.files[&case.export.objects[7]]);
    put_object(case, objects, support::in_format(format, &change(raw)));
}

/// Puts these bytes in the place of the newest object, and adds a window whose digest names them.
fn put_object(case: &mut Case, objects: Vec<DigestObject>, bytes: Bytes) {
    let name = case.export.objects[7].clone();
    let (sha256, stored_length) = (sha256(&bytes), bytes.len() as u64);
    case.export.files.insert(name, bytes);
    case.export.add_window_with(&case.signer, &[], |digest| {
        digest.objects = objects.into_iter().map(|object| DigestObject { sha256, stored_length, ..object }).collect();
    });
}

fn at_start(digest: &Digest) -> BlockId {
    digest.window.first_block
}

/// Adds a window whose digest skips blocks.
fn skip(case: &mut Case, objects: &[u64], blocks: fn(&Digest) -> Vec<BlockId>) {
    case.export.add_window_with(&case.signer, objects, |digest| {
        digest.gaps = blocks(digest).into_iter().map(Gap::of_corrupt_block).collect();
        digest.version = Digest::version_for(&digest.encoding(), &digest.gaps);
    });
}

/// Moves the export away and back: digests 0 to 3 are here, 4 and 5 in another bucket, 6 and 7 here again.
fn away_and_back(case: &mut Case) {
    let here = case.export.destination.clone();
    case.export.remove_digest(4);
    case.export.files.remove(&case.export.objects[6]);
    let previous = case.export.digest(3);
    case.export.head = Some(reference_to(case, 3));
    (case.export.sequence, case.export.cursor) = (4, previous.window.end_block);
    case.export.digests.truncate(4);
    case.export.destination.bucket_name = BucketName::parse("other-audit").unwrap();
    case.export.add_window(&case.signer, &[]);
    case.export.add_window(&case.signer, &[]);
    case.export.remove_digest(4);
    case.export.remove_digest(5);
    case.export.destination = here;
    case.export.add_window(&case.signer, &[2]);
    case.export.add_window(&case.signer, &[1]);
}

fn reference_to(case: &Case, sequence: usize) -> DigestReference {
    let name = &case.export.digests[sequence];
    let prefix = object_key::export_prefix(&case.export.destination, case.export.key.configuration_id);
    DigestReference {
        bucket: case.export.destination.bucket_name.clone(),
        key: format!("{prefix}/{name}"),
        sha256: sha256(&case.export.files[name]),
        signature_sha256: sha256(&case.export.files[&case.export.signature(sequence)]),
    }
}

/// Removes a digest of the sample with its objects.
fn cut_off(case: &mut Case, sequence: usize) {
    for object in case.export.digest(sequence).objects {
        let name = object_key::data_object_name(ExportFormat::NdjsonGzip, None, object.first_block, object.last_block);
        case.export.files.remove(&name).unwrap();
    }
    case.export.remove_digest(sequence);
}

/// Changes the destination of a sample after a number of windows. Files from before the change are not here.
fn move_after(case: &mut Case, windows: usize) {
    let sample = [&[3, 2][..], &[4], &[], &[1, 5, 2], &[6]];
    let mut export = Export { is_tagged: case.export.is_tagged, ..Export::new("acme", CONFIGURATION) };
    export.destination.bucket_name = BucketName::parse("old-audit").unwrap();
    for events in &sample[..windows] {
        export.add_window(&case.signer, events);
    }
    export.files.clear();
    export.destination = case.export.destination.clone();
    for events in &sample[windows..] {
        export.add_window(&case.signer, events);
    }
    case.export = export;
}

/// Keeps only the first digest after the sample: the destination was changed after objects of its window were delivered.
fn first_after_move(case: &mut Case, objects: &[u64]) {
    case.export.add_window(&case.signer, objects);
    let newest = case.export.digests[5].clone();
    case.export.files.retain(|name, _| name.starts_with(&newest));
    case.options.place = Some(format!("s3://new-audit/{CONFIGURATION}").parse().unwrap());
}

/// A copy of the new place alone does not show which place it is.
#[test]
fn a_copy_of_the_new_place_is_given_a_hint() {
    for objects in [&[][..], &[2]] {
        let mut case = Case::new();
        first_after_move(&mut case, objects);
        case.options.place = None;
        let report = case.verify();
        assert!(report.breaks[0].detail.ends_with("give --place"), "{report}");
        assert_eq!(report.break_count, 1 + objects.len() as u64);
    }
    // The previous digest was here, so there is no advice to name another place.
    let mut case = Case::new();
    case.options.place = None;
    case.export.remove_digest(3);
    assert!(!case.verify().breaks[0].detail.contains("--place"));
    case.export.files.retain(|name, _| name.starts_with('_'));
    assert!(!case.verify().breaks[0].detail.contains("--place"));
}

/// All unknown files count, and the first are listed.
#[test]
fn more_breaks_than_are_listed_count() {
    let mut case = Case::new();
    for number in 0..150 {
        case.export.files.insert(format!("_digests/{number}.json"), Bytes::from_static(b"x"));
    }
    case.export.flip(&case.export.objects[0].clone(), 30);
    let report = case.verify();
    assert_eq!((report.break_count, report.breaks.len()), (151, 100));
    case.options.origin = Origin::Copy;
    for number in 0..150 {
        case.export.files.insert(format!("_digests/._{number}"), Bytes::from_static(b"x"));
    }
    let report = case.verify();
    assert_eq!((report.break_count, report.system_files.count), (151, 150));
}

#[test]
fn each_is_named() {
    let mut wrong = Vec::new();
    for ((name, tamper, expected), is_tagged) in CASES.iter().flat_map(|case| [(case, true), (case, false)]) {
        let mut case = Case::with_names(is_tagged);
        tamper(&mut case);
        let report = case.verify();
        let actual = report.breaks.first().map(|broken| broken.code);
        let is_consistent = (report.outcome == VerificationOutcome::Complete) == report.breaks.is_empty()
            && (report.outcome == VerificationOutcome::Outdated) == (actual == Some(BreakCode::OutdatedCopy))
            && report.complete_through.is_some() == (report.outcome != VerificationOutcome::Broken)
            && report.break_count >= report.breaks.len() as u64;
        if actual != *expected || !is_consistent {
            wrong.push(format!(
                "{name} ({}): expected {expected:?}\n{report}",
                if is_tagged { "tagged" } else { "untagged" }
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_case() {
    for code in BreakCode::ALL {
        assert!(CASES.iter().any(|(_, _, expected)| *expected == Some(*code)), "{code:?}");
    }
}

/// A change of any byte of a digest or a signature is found.
#[test]
fn a_change_of_any_byte_of_the_chain_is_detected() {
    let mut case = Case::new();
    let names: Vec<_> = case.export.files.keys().filter(|name| name.starts_with('_')).cloned().collect();
    for name in names {
        for index in (0..case.export.files[&name].len()).step_by(7) {
            case.export.flip(&name, index);
            assert_eq!(case.verify().outcome, VerificationOutcome::Broken, "{name} at {index}");
            case.export.flip(&name, index);
        }
    }
    assert_eq!(case.verify().outcome, VerificationOutcome::Complete);
}

/// All bytes of every object are proven, and each file is needed.
#[test]
fn no_file_is_free() {
    let mut case = Case::new();
    // Without the newest digest, a shorter export is complete: only an expectation shows the difference.
    case.options.expectation.head = case.export.head.as_ref().map(|head| head.sha256);
    for (name, bytes) in case.export.files.clone() {
        case.export.files.remove(&name);
        assert_eq!(case.verify().outcome, VerificationOutcome::Broken, "without {name}");
        case.export.files.insert(name.clone(), bytes.clone());
        for index in (0..bytes.len()).step_by(11) {
            case.export.flip(&name, index);
            assert_eq!(case.verify().outcome, VerificationOutcome::Broken, "{name} at {index}");
            case.export.flip(&name, index);
        }
    }
}

/// A break at one end doesn't hide the part that is proven at the other.
#[test]
fn the_sound_part_is_reported_and_checked() {
    let mut case = Case::new();
    case.export.remove_digest(2);
    case.export.flip(&case.export.objects[6].clone(), 30);
    case.export.flip(&case.export.objects[0].clone(), 30);
    let report = case.verify();
    let codes: Vec<_> = report.breaks.iter().map(|broken| broken.code).collect();
    assert_eq!(codes, [BreakCode::MissingDigest, BreakCode::AlteredObject, BreakCode::AlteredObject]);
    assert_eq!((report.digests.count, report.digests.stretches, report.objects.intact), (4, 2, 5));
}

/// Files added beside the chain don't change what is proven, and each is reported with the advice.
#[test]
fn a_planted_file_hides_nothing() {
    let sound = |case: &Case| {
        let Report { digests, objects, period, .. } = case.verify();
        (digests, objects, period)
    };
    for (sequence, tag) in
        (0..5).flat_map(|sequence| [None, Some(LOWEST_TAG), Some(HIGHEST_TAG)].map(|tag| (sequence, tag)))
    {
        for has_digest in [true, false] {
            let mut case = Case::new();
            let before = sound(&case);
            plant(&mut case, sequence, tag, has_digest.then_some(b"x"));
            let report = case.verify();
            assert_eq!(sound(&case), before);
            assert_eq!((report.break_count, report.outcome), (1, VerificationOutcome::Broken));
            let broken = &report.breaks[0];
            assert_eq!(broken.file, Some(planted_name(sequence, tag)));
            assert!(broken.detail.contains("was not written by the service"), "{report}");
        }
    }
}

#[test]
fn digests_that_one_place_does_not_prove_are_reported() {
    let mut case = Case::new();
    assert_eq!(case.verify().unproven_digests, []);
    away_and_back(&mut case);
    let range = |first_sequence, last_sequence| SequenceRange { first_sequence, last_sequence };
    let report = case.verify();
    assert_eq!((report.outcome, report.is_whole, report.digests.stretches), (VerificationOutcome::Complete, false, 2));
    assert_eq!(report.unproven_digests, [range(4, 5)]);
    let text = report.to_string();
    assert!(text.contains("4 to 5: this place alone does not prove whether other digests followed digest 3"), "{text}");
    assert!(text.contains("for the 2 parts that are here"), "{text}");

    cut_off(&mut case, 3);
    cut_off(&mut case, 2);
    let report = case.verify();
    assert_eq!(
        (report.outcome, report.unproven_digests.as_slice()),
        (VerificationOutcome::Complete, &[range(2, 5)][..])
    );
    case.options.whole_required = true;
    let report = case.verify();
    assert_eq!(report.outcome, VerificationOutcome::Broken);
    assert_eq!(report.breaks[0].detail, "not proven here: digests 2 to 5");

    let mut case = Case::new();
    move_after(&mut case, 3);
    assert_eq!(case.verify().unproven_digests, [range(0, 2)]);
    case.options.since = Some(at("2026-11-22T02:00:00Z"));
    assert_eq!(case.verify().unproven_digests, [], "the caller left them out");
}

#[test]
fn a_skipped_block_is_named_in_the_report() {
    let mut case = Case::new();
    skip(&mut case, &[], |digest| vec![BlockId::from_parts(digest.window.from, 7)]);
    let report = case.verify();
    let block = BlockId::from_parts(at("2026-11-22T06:00:00Z"), 7);
    let line =
        format!("received 2026-11-22T06:00:00.000Z: block {block} was damaged, and the operator approved skipping it");
    assert!(report.to_string().contains(&line), "{report}");
    let gap = &serde_json::to_value(&report).unwrap()["gaps"][0];
    assert_eq!((&gap["reason"], &gap["block"]), (&"BLOCK_CORRUPT".into(), &block.to_string().into()));
}

#[test]
fn files_outside_the_proven_part_are_classified() {
    let mut case = Case::new();
    move_after(&mut case, 3);
    case.export.files.insert(Export::object_name_at("2026-11-21T21:00:00Z"), Bytes::from_static(b"old"));
    case.export.files.insert(Export::object_name_at("2026-11-23T21:00:00Z"), Bytes::from_static(b"new"));
    let report = case.verify();
    assert_eq!(report.outcome, VerificationOutcome::Complete);
    assert_eq!((report.uncovered.count, report.pending.count), (1, 1));
    assert!(!report.is_whole && Case::new().verify().is_whole);
    assert_eq!(report.elsewhere.digest_count, 1);
    let reference: &DigestReference = &report.elsewhere.digests[0];
    assert_eq!(reference.bucket.as_str(), "old-audit");
    assert_ne!(reference.sha256, Hex32([0; 32]));
}

fn without_hashes(text: &str) -> String {
    let mut words = String::new();
    let mut run = String::new();
    for character in text.chars().chain([' ']) {
        if character.is_ascii_digit() || ('a'..='f').contains(&character) {
            run.push(character);
            continue;
        }
        words.push_str(match run.len() {
            64 => "<SHA-256>",
            16 => "<tag>",
            _ => &run,
        });
        run.clear();
        words.push(character);
    }
    words.trim_end().to_owned()
}

#[test]
fn every_format_is_decoded() {
    let mut case = Case::new();
    case.options.deep = true;
    add_formats(&mut case);
    let report = case.verify();
    assert_eq!(report.outcome, VerificationOutcome::Complete);
    assert_eq!((report.objects.intact, report.objects.inflated), (13, 13));
}

/// The digest is that of the damaged file, so the decoder alone can find the damage.
#[test]
fn a_damaged_parquet_file_is_a_break_or_has_the_same_lines() {
    let mut case = Case::new();
    case.options.deep = true;
    case.export.format = ExportFormat::Parquet;
    let objects = case.export.add_objects(&[3]);
    let whole = case.export.files[&case.export.objects[7]].clone();
    let sound = case.export.clone();
    let mut broken = 0;
    for place in (0..whole.len()).step_by(7) {
        let mut bytes = whole.to_vec();
        bytes[place] ^= 0x41;
        case.export = sound.clone();
        put_object(&mut case, objects.clone(), bytes.into());
        let report = case.verify();
        match report.breaks.as_slice() {
            [] => assert_eq!(report.objects.inflated, 8),
            [found] => {
                assert_eq!(found.code, BreakCode::ContentMismatch, "{place}");
                broken += 1;
            }
            more => panic!("{more:?}"),
        }
    }
    assert!(broken > 20, "{broken}");
}

#[test]
fn nothing_is_given_out_of_broken_digests_or_after_a_broken_file() {
    let mut case = Case::new();
    let read = |case: &Case| {
        let circumstances = Case::circumstances();
        let mut count = 0;
        let mut take = |_| {
            count += 1;
            std::ops::ControlFlow::Continue(())
        };
        let read =
            verification::read_proven(&case.export.files, &case.options, circumstances, &|_| {}, &|_| true, &mut take);
        let read = futures::executor::block_on(read).map(|report| report.outcome);
        (read, count)
    };
    for format in ExportFormat::ALL {
        case.export.format = *format;
        case.export.add_window(&case.signer, &[1]);
    }
    assert_eq!(read(&case), (Ok(VerificationOutcome::Complete), 11), "every format is given out");
    case.export.flip(&case.export.objects[2].clone(), 20);
    assert_eq!(read(&case), (Ok(VerificationOutcome::Broken), 2));
    case.export.remove_digest(2);
    assert_eq!(read(&case), (Ok(VerificationOutcome::Broken), 0));
}

#[test]
fn report_of_a_complete_export() {
    let mut case = Case::new();
    let newer = Signer::generate();
    case.trust(&newer);
    case.options.deep = true;
    case.options.expectation.through = Some(at("2026-11-22T06:00:00Z"));
    let floor = at("2026-11-22T07:00:00Z");
    case.export.add_window_with(&newer, &[], |digest| digest.gaps.push(gap(digest.window.from, floor)));
    case.export.add_objects(&[2]);
    let report = case.verify();
    insta::assert_snapshot!("complete_text", without_hashes(&report.to_string()));
    insta::assert_snapshot!("complete_json", without_hashes(&serde_json::to_string_pretty(&report).unwrap()));
}

#[test]
fn report_of_a_broken_export() {
    let mut case = Case::new();
    move_after(&mut case, 3);
    case.export.flip(&case.export.objects[4].clone(), 30);
    case.export.swap(&case.export.objects[5].clone(), &case.export.objects[6].clone());
    case.export.files.insert("date=2026-11-22/\u{1b}[2Jgone\u{202E}".to_owned(), Bytes::new());
    let report = case.verify();
    insta::assert_snapshot!("broken_text", without_hashes(&report.to_string()));
    insta::assert_snapshot!("broken_json", without_hashes(&serde_json::to_string_pretty(&report).unwrap()));
}
