//! Sealed digests.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    configuration::ConfigurationId,
    digest::{DIGEST_VERSION, Digest, DigestObject, DigestReference, DigestWindow, Hex32, MAX_DIGEST_OBJECTS},
    export_run::test_support::{digest_reference, object, window},
    tenant::TenantId,
};
use serde_json::{Value, json};

use super::{
    operations::id,
    world::{World, code},
};
use crate::handler::MAX_RESPONSE_LENGTH;

const DIGEST: &str = "exportJobId bucketName objectKey digest sha256 signatureObjectKey signature signatureSha256";

async fn create(world: &World) -> String {
    let data = json!({"interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1",
        "roleArn": "arn:aws:iam::222222222222:role/export", "startFrom": "2026-11-22T00:00:00Z"});
    let document = "mutation($data: CreateS3AssumedRoleExportConfigurationInput!) {
        createS3AssumedRoleExportConfiguration(data: $data) { id } }";
    id(&world.ask(document, json!({ "data": data })).await)
}

async fn ask(world: &World, tenant: &str, job: &str) -> Value {
    let document = format!("query($id: ID!) {{ getExportDigest(exportJobId: $id) {{ {DIGEST} }} }}");
    world.ask_as(tenant, &document, json!({ "id": job })).await
}

fn signature(sequence: u64) -> Vec<u8> {
    // Like any signature, it is not UTF-8.
    vec![0x30, 0xff, u8::try_from(sequence).unwrap()]
}

/// Seals a digest, and returns the reference that the next one has.
fn seal(
    world: &World,
    id: &str,
    sequence: u64,
    objects: Vec<DigestObject>,
    previous: Option<DigestReference>,
) -> DigestReference {
    let (from, to) = (window(sequence).from, window(sequence).to);
    let digest = Digest {
        version: DIGEST_VERSION,
        tenant_id: TenantId::parse("acme").unwrap(),
        configuration_id: ConfigurationId::parse(id).unwrap(),
        sequence,
        window: DigestWindow::new(from, to),
        format: None,
        schema_version: None,
        filter: None,
        filter_sha256: None,
        left_out: None,
        ocsf_version: None,
        classes: None,
        classes_sha256: None,
        objects,
        gaps: Vec::new(),
        previous,
        signing_key: Hex32([1; 32]),
    };
    let bytes = digest.to_bytes().unwrap();
    world.history.put_digest(id, sequence, to, &bytes, &signature(sequence));
    DigestReference {
        key: format!("logs/{id}/_digests/{sequence}.json"),
        sha256: Hex32::sha256_of(&bytes),
        signature_sha256: Hex32::sha256_of(signature(sequence)),
        ..digest_reference(sequence)
    }
}

/// Makes an export with `delivered` digests in the bucket, and one more that is sealed.
async fn exported(world: &World, delivered: u64) -> (String, Vec<DigestReference>) {
    let id = create(world).await;
    let mut references: Vec<DigestReference> = Vec::new();
    for sequence in 0..=delivered {
        references.push(seal(world, &id, sequence, vec![object(0)], references.last().cloned()));
    }
    world.history.put_state(&id, window(delivered).from, delivered, Some(&window(delivered)));
    world.history.put_head(&id, &references[usize::try_from(delivered).unwrap() - 1]);
    (id, references)
}

#[tokio::test]
async fn a_digest_is_served_byte_for_byte_with_the_key_that_the_chain_names() {
    let world = World::new();
    let (id, references) = exported(&world, 3).await;
    for (sequence, reference) in references.iter().enumerate().take(3) {
        let job = format!("{id}.{sequence}");
        let answer = ask(&world, "acme", &job).await;
        assert_eq!(answer.get("errors"), None, "{answer}");
        let served = &answer["data"]["getExportDigest"];
        assert_eq!(Hex32::sha256_of(served["digest"].as_str().unwrap().as_bytes()), reference.sha256);
        let signature = signature(u64::try_from(sequence).unwrap());
        assert_eq!(STANDARD.decode(served["signature"].as_str().unwrap()).unwrap(), signature);
        let mut others = served.clone();
        others.as_object_mut().unwrap().retain(|name, _| !["digest", "signature"].contains(&name.as_str()));
        assert_eq!(
            others,
            json!({"exportJobId": job, "bucketName": reference.bucket, "objectKey": reference.key,
                "signatureObjectKey": format!("{}.sig", reference.key), "sha256": reference.sha256,
                "signatureSha256": reference.signature_sha256})
        );
    }
}

#[tokio::test]
async fn only_digests_in_the_bucket_are_served_and_only_to_their_tenant() {
    let world = World::new();
    let (id, _) = exported(&world, 2).await;
    for job in [format!("{id}.2"), format!("{id}.3"), format!("{id}.{}", u64::MAX), format!("{id}.00"), id.clone()] {
        assert_eq!(code(&ask(&world, "acme", &job).await), "NOT_FOUND", "{job}");
    }
    for job in [format!("{id}.0"), format!("{id}.1"), "acme#x".to_owned(), String::new()] {
        assert_eq!(code(&ask(&world, "other", &job).await), "NOT_FOUND", "{job}");
    }
    let never_ran = create(&world).await;
    assert_eq!(code(&ask(&world, "acme", &format!("{never_ran}.0")).await), "NOT_FOUND");
}

/// Time to live deletes items in any order, and some of them only days after they expired.
#[tokio::test]
async fn a_digest_that_has_expired_is_not_there() {
    let world = World::new();
    let id = create(&world).await;
    let head = seal(&world, &id, 1, vec![object(0)], None);
    let head = seal(&world, &id, 3, vec![object(0)], Some(head));
    let head = seal(&world, &id, 4, vec![object(0)], Some(head));
    world.history.put_state(&id, window(5).from, 5, None);
    world.history.put_head(&id, &head);
    for sequence in [0, 1, 2] {
        assert_eq!(code(&ask(&world, "acme", &format!("{id}.{sequence}")).await), "NOT_FOUND", "{sequence}");
    }
    for sequence in [3, 4] {
        assert_eq!(ask(&world, "acme", &format!("{id}.{sequence}")).await.get("errors"), None, "{sequence}");
    }
}

#[tokio::test]
async fn a_digest_that_the_chain_does_not_name_is_not_served() {
    let world = World::new();
    let (id, references) = exported(&world, 2).await;
    for changed in [
        DigestReference { sha256: Hex32([9; 32]), ..references[1].clone() },
        DigestReference { signature_sha256: Hex32([9; 32]), ..references[1].clone() },
    ] {
        world.history.put_head(&id, &changed);
        assert_eq!(code(&ask(&world, "acme", &format!("{id}.1")).await), "INTERNAL");
        assert_eq!(ask(&world, "acme", &format!("{id}.0")).await.get("errors"), None, "the others are");
    }
}

#[tokio::test]
async fn the_longest_digest_fits_and_many_of_them_are_refused() {
    let world = World::new();
    let id = create(&world).await;
    // Longer than any key of an object.
    let longest = |number| DigestObject { key: "k".repeat(700), ..object(number) };
    let reference = seal(&world, &id, 0, (0..MAX_DIGEST_OBJECTS).map(longest).collect(), None);
    world.history.put_state(&id, window(1).from, 1, None);
    world.history.put_head(&id, &reference);
    let job = format!("{id}.0");
    let answer = ask(&world, "acme", &job).await;
    assert_eq!(answer["data"]["getExportDigest"]["sha256"], json!(reference.sha256));
    assert!(30 * answer.to_string().len() > MAX_RESPONSE_LENGTH);
    let one =
        |number: u32| format!("a{number}: getExportDigest(exportJobId: \"{job}\") {{ digest b: digest c: digest }}");
    let many = (0..10).map(one).collect::<Vec<_>>().join(" ");
    assert_eq!(code(&world.ask(&format!("{{ {many} }}"), Value::Null).await), "GRAPHQL_VALIDATION_FAILED");
}
