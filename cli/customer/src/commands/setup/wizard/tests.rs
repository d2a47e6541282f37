use domain::configuration::region::{Partition, Region};
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    commands::{
        config::{file::Purpose, test::tests::write_denied},
        setup::account::tests::caller,
    },
    model::tests::{configuration, configuration_json},
};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T10:00:00Z").unwrap()
}

fn service() -> ServiceIdentity {
    ServiceIdentity {
        account: AccountId::parse("111111111111").unwrap(),
        partition: Partition::Commercial,
        region: Region::parse("us-east-1").unwrap(),
    }
}

fn wizard() -> Wizard {
    Wizard::new(State::new("https://example.com/".to_owned(), None, "key-1".to_owned()), service())
}

/// Gives the answers, and checks that the wizard asks these questions.
fn answer(wizard: &mut Wizard, answers: &[(Question, &str)]) {
    for (question, text) in answers {
        assert_eq!(wizard.next(), Step::Ask(*question));
        assert_eq!(wizard.answer(*question, text, now()), Ok(Continuation::Continue), "{question:?}");
    }
}

fn file(json: &Json) -> ConfigurationFile {
    ConfigurationFile::parse(&json.to_string(), Purpose::Create).unwrap()
}

const DESTINATION: [(Question, &str); 6] = [
    (Question::Field(Field::Interval), "12"),
    (Question::Field(Field::BucketName), "acme-audit"),
    (Question::Field(Field::BucketPath), ""),
    (Question::Field(Field::Region), "eu-west-1"),
    (Question::Field(Field::KmsKeyArn), ""),
    (Question::Field(Field::ExpectedBucketOwner), ""),
];

/// A wizard with all answers, for a role.
fn confirmed() -> Wizard {
    let mut wizard = wizard();
    answer(&mut wizard, &[(Question::Kind, "role")]);
    answer(&mut wizard, &DESTINATION);
    answer(&mut wizard, &[(Question::Field(Field::RoleArn), "222222222222"), (Question::Confirm, "yes")]);
    wizard
}

fn failed(code: &str) -> Configuration {
    configuration(&json!({
        "connectionStatus": "FAILED", "connectionError": { "code": code, "message": "Fix it." },
    }))
}

fn pending() -> Configuration {
    configuration(&json!({ "connectionStatus": "PENDING", "connectionCheckedAt": null }))
}

fn created() -> Wizard {
    let mut wizard = confirmed();
    wizard.seen(pending(), Source::Created);
    wizard
}

/// Continues in a new wizard after an interruption.
fn resumed(wizard: &Wizard) -> Wizard {
    let stored = serde_json::to_string(&wizard.state).unwrap();
    assert!(!stored.contains(SECRET));
    let state: State = serde_json::from_str(&stored).unwrap();
    assert!(state.is_valid() && state == wizard.state);
    Wizard::new(state, service())
}

fn sent(file: &ConfigurationFile, kind: Kind, purpose: Purpose) -> Json {
    serde_json::to_value(file.data(kind, purpose)).unwrap()
}

#[test]
fn a_role_is_set_up_to_the_end() {
    let mut wizard = confirmed();
    assert_eq!(wizard.next(), Step::Create);
    assert_eq!(
        sent(&wizard.creation(), Kind::AssumedRole, Purpose::Create),
        json!({
            "interval": "EVERY_12_HOURS", "bucketName": "acme-audit", "region": "eu-west-1", "idempotencyKey": "key-1",
            "roleArn": "arn:aws:iam::222222222222:role/audit-export", "startFrom": "earliest",
        })
    );
    wizard.seen(pending(), Source::Created);
    assert_eq!(wizard.next(), Step::ShowPolicies(Detail::Command));
    wizard.policies_shown();
    answer(&mut wizard, &[(Question::Ready, "")]);
    assert_eq!(wizard.next(), Step::Test);
    wizard.seen(failed("ROLE_NOT_ASSUMABLE"), Source::Tested);
    answer(&mut wizard, &[(Question::Failed, "retry")]);
    assert_eq!(wizard.next(), Step::Test);
    wizard.seen(configuration(&json!({})), Source::Tested);
    assert_eq!(wizard.next(), Step::Finish);
}

#[test]
fn a_secret_is_asked_for_last_and_never_kept() {
    let mut wizard = wizard();
    answer(&mut wizard, &[(Question::Kind, "access-key"), (Question::Field(Field::EndpointUrl), "")]);
    answer(&mut wizard, &DESTINATION);
    answer(&mut wizard, &[(Question::Field(Field::AccessKeyId), "AKIAIOSFODNN7EXAMPLE"), (Question::Confirm, "y")]);
    let question = Question::Field(Field::SecretAccessKey);
    assert!(wizard.answer(question, "too short", now()).unwrap_err().contains("SECRET_ACCESS_KEY_INVALID"));
    answer(&mut wizard, &[(question, SECRET)]);
    assert_eq!(wizard.next(), Step::Create);
    assert_eq!(sent(&wizard.creation(), Kind::AccessKey, Purpose::Create)["secretAccessKey"], SECRET);
    assert!(!format!("{wizard:?}").contains(SECRET));
    // It was not stored, so it is asked for again.
    assert_eq!(resumed(&wizard).next(), Step::Ask(question));

    wizard.seen(configuration(&json!({ "type": "S3_ACCESS_KEY" })), Source::Created);
    assert_eq!(wizard.next(), Step::Finish);
    assert!(sent(&wizard.creation(), Kind::AccessKey, Purpose::Create).get("secretAccessKey").is_none());
}

const ON_SERVER: [(Question, &str); 6] = [
    (Question::Field(Field::EndpointUrl), "https://S3.example.com:9000/"),
    (Question::Field(Field::Interval), "12"),
    (Question::Field(Field::BucketName), "acme-audit"),
    (Question::Field(Field::BucketPath), ""),
    (Question::Field(Field::Region), "garage"),
    (Question::Field(Field::AccessKeyId), "audit-export"),
];

#[test]
fn another_server_is_asked_for_what_it_has() {
    let mut wizard = wizard();
    answer(&mut wizard, &[(Question::Kind, "access-key")]);
    for bad in ["http://s3.example.com", "https://10.0.0.1", "https://s3.eu-west-1.amazonaws.com"] {
        let refused = wizard.answer(Question::Field(Field::EndpointUrl), bad, now()).unwrap_err();
        assert!(refused.contains("ENDPOINT_URL_INVALID"), "{bad}: {refused}");
    }
    // Neither a KMS key nor an account is asked for.
    answer(&mut wizard, &ON_SERVER);
    answer(&mut wizard, &[(Question::Confirm, "yes"), (Question::Field(Field::SecretAccessKey), SECRET)]);
    assert_eq!(
        sent(&wizard.creation(), Kind::AccessKey, Purpose::Create),
        json!({
            "interval": "EVERY_12_HOURS", "bucketName": "acme-audit", "region": "garage", "accessKeyId": "audit-export",
            "endpointUrl": "https://S3.example.com:9000/", "secretAccessKey": SECRET, "startFrom": "earliest",
            "idempotencyKey": "key-1",
        })
    );
    let mut endpoint = configuration_json()["endpointConfiguration"].clone();
    endpoint["endpointUrl"] = json!("https://s3.example.com:9000");
    endpoint["region"] = json!("garage");
    let failed = |code: &str| {
        configuration(&json!({
            "type": "S3_ACCESS_KEY", "endpointConfiguration": endpoint, "connectionStatus": "FAILED",
            "connectionError": { "code": code, "message": "Fix it." },
        }))
    };
    wizard.seen(failed("ENDPOINT_UNREACHABLE"), Source::Created);
    for (code, first) in [
        ("ENDPOINT_UNREACHABLE", Field::EndpointUrl),
        ("BUCKET_REFUSED", Field::EndpointUrl),
        ("BUCKET_NOT_FOUND", Field::BucketName),
    ] {
        wizard.seen(failed(code), Source::Tested);
        answer(&mut wizard, &[(Question::Failed, "change")]);
        assert_eq!(wizard.next(), Step::Ask(Question::Field(first)), "{code}");
    }
    answer(
        &mut wizard,
        &[(Question::Field(Field::BucketName), "acme-logs"), (Question::Field(Field::Region), "eu-wst-1")],
    );
    assert!(matches!(wizard.next(), Step::Update(_)));
}

#[test]
fn invalid_answers_are_refused_at_once() {
    let mut wizard = wizard();
    answer(&mut wizard, &[(Question::Kind, "")]);
    for (field, bad, code) in [
        (Field::Interval, "3", "INTERVAL_INVALID"),
        (Field::Interval, "", "REQUIRED"),
        (Field::BucketName, "Acme", "BUCKET_NAME_INVALID"),
        (Field::BucketName, "", "REQUIRED"),
        (Field::BucketPath, "/a", "BUCKET_PATH_INVALID"),
        (Field::Region, "europe", "REGION_INVALID"),
        (Field::Region, "cn-north-1", "REGION_PARTITION_MISMATCH"),
        (Field::ExpectedBucketOwner, "1", "ACCOUNT_ID_INVALID"),
        (Field::RoleArn, "arn:aws:iam::111111111111:role/x", "ROLE_IN_SERVICE_ACCOUNT"),
        (Field::RoleArn, "111111111111", "ROLE_IN_SERVICE_ACCOUNT"),
        (Field::RoleArn, "arn:aws:iam::222222222222:role/*", "ROLE_ARN_INVALID"),
        (Field::KmsKeyArn, "alias/x", "KMS_KEY_ARN_INVALID"),
    ] {
        let refused = wizard.answer(Question::Field(field), bad, now()).unwrap_err();
        assert!(refused.contains(code), "{field:?} {bad:?}: {refused}");
        assert!(!wizard.state.answers.contains_key(&field));
    }
    answer(&mut wizard, &DESTINATION[..4]);
    let elsewhere = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let refused = wizard.answer(Question::Field(Field::KmsKeyArn), elsewhere, now()).unwrap_err();
    assert!(refused.contains("KMS_KEY_REGION_MISMATCH"), "{refused}");
    assert!(wizard.answer(Question::Kind, "token", now()).is_err());
    assert!(wizard.answer(Question::Confirm, "perhaps", now()).is_err());
    assert!(wizard.answer(Question::Ready, "what", now()).is_err());
    assert!(wizard.answer(Question::Failed, "what", now()).is_err());
}

#[test]
fn short_answers_are_completed() {
    let mut wizard = wizard();
    wizard.state.kind = Some(Kind::AssumedRole);
    for (field, typed, taken) in [
        (Field::Interval, "24", "EVERY_24_HOURS"),
        (Field::Interval, " 6 h ", "EVERY_6_HOURS"),
        (Field::Interval, "every_2_hours", "EVERY_2_HOURS"),
        (Field::BucketName, "s3://acme-audit/", "acme-audit"),
        (Field::RoleArn, "222222222222", "arn:aws:iam::222222222222:role/audit-export"),
    ] {
        assert_eq!(wizard.answer(Question::Field(field), typed, now()), Ok(Continuation::Continue), "{typed}");
        assert_eq!(wizard.state.answers[&field].as_deref(), Some(taken));
    }
}

#[test]
fn an_interruption_loses_no_answer() {
    let mut wizard = wizard();
    answer(&mut wizard, &[(Question::Kind, "role")]);
    answer(&mut wizard, &DESTINATION[..3]);
    assert_eq!(resumed(&wizard).next(), Step::Ask(Question::Field(Field::Region)));
    // A request without an answer is repeated with the same key.
    let confirmed = confirmed();
    let again = resumed(&confirmed);
    assert_eq!(again.next(), Step::Create);
    let sent_by = |wizard: &Wizard| sent(&wizard.creation(), Kind::AssumedRole, Purpose::Create);
    assert_eq!(sent_by(&again), sent_by(&confirmed));
    // A created configuration is fetched first.
    let mut again = resumed(&created());
    assert_eq!(again.next(), Step::Get);
    again.seen(pending(), Source::Get);
    assert_eq!(again.next(), Step::ShowPolicies(Detail::Command));
    let mut again = resumed(&created());
    again.seen(configuration(&json!({})), Source::Get);
    assert_eq!(again.next(), Step::Finish);
}

#[test]
fn a_state_older_than_its_idempotency_key_is_stale() {
    let state = confirmed().state;
    let later = |hours: u64| now().saturating_add(Duration::from_hours(hours));
    let earlier = now().saturating_sub(Duration::from_hours(24));
    assert!(!state.is_stale(now()) && !state.is_stale(later(22)));
    assert!(state.is_stale(later(24)) && state.is_stale(earlier));
    assert!(!created().state.is_stale(later(1_000)) && !wizard().state.is_stale(later(1_000)));
}

#[test]
fn a_no_goes_through_the_questions_again() {
    let mut wizard = wizard();
    answer(&mut wizard, &[(Question::Kind, "role")]);
    answer(&mut wizard, &DESTINATION);
    answer(&mut wizard, &[(Question::Field(Field::RoleArn), "222222222222"), (Question::Confirm, "no")]);
    assert_eq!(wizard.next(), Step::Ask(Question::Field(Field::Interval)));
    assert_eq!(wizard.suggestion(Field::Interval).as_deref(), Some("12"));
    assert_eq!(resumed(&wizard).suggestion(Field::BucketName).as_deref(), Some("acme-audit"));
    assert_eq!(wizard.suggestion(Field::BucketPath), None);
    assert_eq!(super::tests::wizard().suggestion(Field::Interval).as_deref(), Some("24"));
}

#[test]
fn a_refused_creation_is_repeated_with_another_key() {
    let mut wizard = confirmed();
    wizard.refused("key-2".to_owned());
    assert_eq!(wizard.next(), Step::Ask(Question::Field(Field::Interval)));
    answer(&mut wizard, &DESTINATION);
    answer(&mut wizard, &[(Question::Field(Field::RoleArn), "222222222222"), (Question::Confirm, "")]);
    assert_eq!(sent(&wizard.creation(), Kind::AssumedRole, Purpose::Create)["idempotencyKey"], "key-2");
}

#[test]
fn each_failure_asks_what_can_be_wrong() {
    let kms = json!("arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    for code in Code::ALL {
        let mut wizard = created();
        wizard.policies_shown();
        let mut found = failed(code.name());
        let endpoint = &mut found.endpoint_configuration;
        if matches!(code, Code::EndpointNotPublic | Code::ConditionalWritesMissing | Code::ChecksumsMissing) {
            endpoint.endpoint_url = Some(serde_json::from_value(json!("https://s3.example.com")).unwrap());
        } else {
            endpoint.kms_key_arn = Some(serde_json::from_value(kms.clone()).unwrap());
        }
        wizard.seen(found, Source::Tested);
        answer(&mut wizard, &[(Question::Failed, "change")]);
        let Step::Ask(Question::Field(first)) = wizard.next() else { panic!("{code}: nothing is asked") };
        assert!(wizard.suggestion(first).is_some() || first == Field::ExpectedBucketOwner, "{code}");
    }
}

#[test]
fn a_change_sends_what_was_changed() {
    let mut wizard = created();
    wizard.policies_shown();
    wizard.seen(failed("BUCKET_IN_ANOTHER_REGION"), Source::Tested);
    answer(
        &mut wizard,
        &[
            (Question::Failed, "change"),
            (Question::Field(Field::BucketName), "acme-audit"),
            (Question::Field(Field::Region), "eu-central-1"),
        ],
    );
    let Step::Update(changes) = wizard.next() else { panic!("no update") };
    assert_eq!(
        sent(&wizard.input(&changes), Kind::AssumedRole, Purpose::Update),
        json!({ "bucketName": "acme-audit", "region": "eu-central-1" })
    );
    wizard.seen(configuration(&json!({})), Source::Updated);
    assert_eq!(wizard.next(), Step::Finish);
}

#[test]
fn a_change_can_clear_a_field_and_bring_a_new_key() {
    let mut wizard = created();
    wizard.policies_shown();
    wizard.seen(write_denied(), Source::Tested);
    answer(
        &mut wizard,
        &[
            (Question::Failed, "change"),
            (Question::Field(Field::BucketName), "acme-audit"),
            (Question::Field(Field::BucketPath), ""),
            (Question::Field(Field::Region), "eu-west-1"),
            (Question::Field(Field::ExpectedBucketOwner), "222222222222"),
        ],
    );
    let Step::Update(changes) = wizard.next() else { panic!("no update") };
    assert_eq!(sent(&wizard.input(&changes), Kind::AssumedRole, Purpose::Update)["bucketPath"], Json::Null);

    let mut endpoint = configuration_json()["endpointConfiguration"].clone();
    endpoint["roleArn"] = Json::Null;
    endpoint["accessKeyId"] = json!("AKIAIOSFODNN7EXAMPLE");
    wizard.seen(
        configuration(&json!({
            "type": "S3_ACCESS_KEY", "endpointConfiguration": endpoint, "connectionStatus": "FAILED",
            "connectionError": { "code": "SECRET_ACCESS_KEY_WRONG", "message": "Give another." },
        })),
        Source::Updated,
    );
    answer(
        &mut wizard,
        &[
            (Question::Failed, "c"),
            (Question::Field(Field::AccessKeyId), "AKIAIOSFODNN7EXAMPLE"),
            (Question::Field(Field::SecretAccessKey), SECRET),
        ],
    );
    let Step::Update(changes) = wizard.next() else { panic!("no update") };
    assert!(!format!("{changes:?}").contains(SECRET));
    assert_eq!(
        sent(&wizard.input(&changes), Kind::AccessKey, Purpose::Update),
        json!({ "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": SECRET })
    );
    wizard.update_refused();
    assert_eq!(wizard.next(), Step::Ask(Question::Failed));
}

#[test]
fn policies_are_shown_before_they_are_waited_for() {
    // Policies can't fix a missing bucket.
    let mut wizard = confirmed();
    wizard.seen(failed("BUCKET_NOT_FOUND"), Source::Created);
    assert_eq!(wizard.next(), Step::Ask(Question::Failed));
    let mut wizard = confirmed();
    wizard.seen(failed("WRITE_DENIED"), Source::Created);
    assert_eq!(wizard.next(), Step::ShowPolicies(Detail::Command));
    wizard.policies_shown();
    wizard.seen(failed("WRITE_DENIED"), Source::Tested);
    answer(&mut wizard, &[(Question::Failed, "policies")]);
    assert_eq!(wizard.next(), Step::ShowPolicies(Detail::Everything));
    // Another bucket has other policies.
    wizard.policies_shown();
    wizard.seen(failed("WRITE_DENIED"), Source::Updated);
    assert_eq!(wizard.next(), Step::ShowPolicies(Detail::Command));
    // Changed during the test.
    wizard.policies_shown();
    wizard.seen(pending(), Source::Tested);
    assert_eq!(wizard.next(), Step::Ask(Question::Ready));
    assert_eq!(wizard.answer(Question::Ready, "q", now()), Ok(Continuation::Quit));
}

#[test]
fn a_file_answers_everything_at_once() {
    let whole = json!({
        "interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "eu-west-1", "description": "Für uns",
        "format": "PARQUET", "roleArn": "arn:aws:iam::222222222222:role/x",
        "filter": { "include": { "actions": ["DELETE*"] } },
    });
    let mut wizard = wizard();
    let wrong = file(&json!({
        "interval": "3", "format": "csv", "roleArn": "arn:aws:iam::111111111111:role/x", "filter": {},
    }));
    let problems = wizard.answer_all(&wrong, Kind::AssumedRole, now()).unwrap_err();
    assert_eq!(problems.0.len(), 6, "{problems:?}");
    assert!(problems.0[5].ends_with("(FILTER_EMPTY)"), "{problems:?}");
    assert_eq!(wizard.next(), Step::Ask(Question::Kind));

    wizard.answer_all(&file(&whole), Kind::AssumedRole, now()).unwrap();
    assert_eq!(wizard.next(), Step::Create);
    let mut expected = whole.clone();
    expected["idempotencyKey"] = json!("key-1");
    assert_eq!(sent(&wizard.creation(), Kind::AssumedRole, Purpose::Create), expected);

    // The same answers continue, other ones do not.
    wizard.seen(pending(), Source::Created);
    let mut again = resumed(&wizard);
    again.answer_all(&file(&whole), Kind::AssumedRole, now()).unwrap();
    assert_eq!(again.next(), Step::Get);
    for (name, value) in [("bucketName", json!("acme-logs")), ("filter", json!(null))] {
        let mut other = whole.clone();
        other[name] = value;
        assert!(again.answer_all(&file(&other), Kind::AssumedRole, now()).is_err(), "{name}");
    }
}

#[test]
fn the_choices_of_ocsf_in_a_file_are_sent_and_have_to_suit_its_format() {
    let whole = json!({
        "interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "bucketPath": "ext/audit", "region": "eu-west-1",
        "format": "OCSF_PARQUET", "roleArn": "arn:aws:iam::222222222222:role/x",
        "ocsf": { "version": "1.8.0", "classes": [{ "action": "PUBLISH", "class": "ENTITY_MANAGEMENT" }] },
    });
    let with = |name: &str, value: serde_json::Value| {
        let mut changed = whole.clone();
        changed[name] = value;
        file(&changed)
    };
    let mut wizard = wizard();
    for (wrong, code) in [
        (with("format", json!("PARQUET")), "(OCSF_CONFLICT)"),
        (with("ocsf", json!({ "version": "2" })), "(OCSF_VERSION_INVALID)"),
        (with("bucketPath", json!("p".repeat(400))), "(BUCKET_PATH_INVALID)"),
    ] {
        let Problems(problems) = wizard.answer_all(&wrong, Kind::AssumedRole, now()).unwrap_err();
        assert!(problems.len() == 1 && problems[0].ends_with(code), "{problems:?}");
    }
    wizard.answer_all(&file(&whole), Kind::AssumedRole, now()).unwrap();
    let mut expected = whole.clone();
    expected["idempotencyKey"] = json!("key-1");
    assert_eq!(sent(&wizard.creation(), Kind::AssumedRole, Purpose::Create), expected);

    wizard.seen(pending(), Source::Created);
    let mut again = resumed(&wizard);
    again.answer_all(&file(&whole), Kind::AssumedRole, now()).unwrap();
    assert!(again.answer_all(&with("ocsf", json!({ "version": "1.8.0" })), Kind::AssumedRole, now()).is_err());
}

#[test]
fn a_file_can_name_another_server() {
    let whole = json!({
        "interval": "EVERY_2_HOURS", "bucketName": "acme-audit", "region": "auto", "accessKeyId": "audit-export",
        "endpointUrl": "https://s3.example.com",
    });
    let mut with_key = whole.clone();
    with_key["kmsKeyArn"] = json!("arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    let mut wizard = wizard();
    let Problems(problems) = wizard.answer_all(&file(&with_key), Kind::AccessKey, now()).unwrap_err();
    assert!(problems.len() == 1 && problems[0].contains("ENDPOINT_CONFLICT"), "{problems:?}");
    wizard.answer_all(&file(&whole), Kind::AccessKey, now()).unwrap();
    let mut expected = whole.clone();
    expected["idempotencyKey"] = json!("key-1");
    assert_eq!(sent(&wizard.creation(), Kind::AccessKey, Purpose::Create), expected);
    // Another server is another answer.
    let mut other = whole;
    other["endpointUrl"] = json!("https://s3.example.org");
    assert!(resumed(&wizard).answer_all(&file(&other), Kind::AccessKey, now()).is_err());
}

fn found(is_new: bool) -> Bucket {
    Bucket {
        name: "acme-audit".to_owned(),
        is_new,
        region: Some(Region::parse("eu-west-1").unwrap()),
        kms_key_arn: None,
        is_own: true,
    }
}

/// A wizard with credentials, whose bucket and interval are answered.
fn with_credentials(is_new: bool) -> Wizard {
    let mut wizard = wizard().with_caller(Some(caller()));
    assert_eq!(wizard.next(), Step::Ask(Question::Bucket));
    wizard.choose_bucket(&found(is_new)).unwrap();
    answer(&mut wizard, &[(Question::Field(Field::Interval), "24")]);
    wizard
}

#[test]
fn with_credentials_a_bucket_an_interval_and_a_yes_are_enough() {
    let mut wizard = with_credentials(true);
    answer(&mut wizard, &[(Question::Confirm, "")]);
    assert_eq!(wizard.next(), Step::Create);
    assert!(wizard.creates_bucket());
    assert_eq!(
        sent(&wizard.creation(), Kind::AssumedRole, Purpose::Create),
        json!({
            "interval": "EVERY_24_HOURS", "bucketName": "acme-audit", "bucketPath": "audit-export", "region": "eu-west-1",
            "expectedBucketOwner": "222222222222", "roleArn": "arn:aws:iam::222222222222:role/audit-export-key-1",
            "startFrom": "earliest", "idempotencyKey": "key-1",
        })
    );
    wizard.seen(pending(), Source::Created);
    assert_eq!(wizard.next(), Step::Apply);
    // The permission is stored: the next call applies without another question.
    let mut again = resumed(&wizard).with_caller(Some(caller()));
    assert_eq!(again.next(), Step::Get);
    again.seen(pending(), Source::Get);
    assert!(again.creates_bucket());
    assert_eq!(again.next(), Step::Apply);
    again.applied();
    assert_eq!(again.next(), Step::Test);
    again.seen(configuration(&json!({})), Source::Tested);
    assert_eq!(again.next(), Step::Export);
    // An interrupted export is repeated.
    let mut last = resumed(&again).with_caller(Some(caller()));
    last.seen(configuration(&json!({})), Source::Get);
    assert_eq!(last.next(), Step::Export);
    last.exported();
    assert_eq!(last.next(), Step::Finish);
}

#[test]
fn a_no_asks_for_all_with_what_was_found() {
    let mut wizard = with_credentials(true);
    answer(
        &mut wizard,
        &[
            (Question::Confirm, "no"),
            (Question::Field(Field::Interval), "12"),
            (Question::Field(Field::BucketName), "acme-logs"),
        ],
    );
    assert!(!wizard.creates_bucket(), "only the bucket that was found missing is created");
    assert_eq!(wizard.suggestion(Field::BucketPath).as_deref(), Some("audit-export"));
    answer(
        &mut wizard,
        &[
            (Question::Field(Field::BucketPath), "logs"),
            (Question::Field(Field::Region), "eu-west-1"),
            (Question::Field(Field::KmsKeyArn), ""),
            (Question::Field(Field::ExpectedBucketOwner), ""),
            (Question::Field(Field::RoleArn), "333333333333"),
            (Question::Confirm, "yes"),
        ],
    );
    // The credentials can't create a role in another account.
    assert!(!wizard.state.may_apply);
}

#[test]
fn a_bucket_whose_region_is_hidden_is_asked_for_it() {
    let mut wizard = wizard().with_caller(Some(caller()));
    wizard.choose_bucket(&Bucket { region: None, ..found(false) }).unwrap();
    answer(
        &mut wizard,
        &[
            (Question::Field(Field::Interval), "2"),
            (Question::Field(Field::Region), "eu-west-1"),
            (Question::Confirm, ""),
        ],
    );
    assert!(!wizard.creates_bucket() && wizard.state.may_apply);
    // A key of another Region than the bucket is no answer.
    let mut other = super::tests::wizard().with_caller(Some(caller()));
    let key = "arn:aws:kms:us-east-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    assert!(other.choose_bucket(&Bucket { kms_key_arn: Some(key.to_owned()), ..found(false) }).is_err());
    assert_eq!(other.next(), Step::Ask(Question::Bucket));
}

#[test]
fn resources_are_created_only_after_a_yes() {
    // The configuration was created without credentials.
    let began_as = |role_account: &str, format: &str| {
        let mut endpoint = configuration_json()["endpointConfiguration"].clone();
        endpoint["roleArn"] = json!(format!("arn:aws:iam::{role_account}:role/audit-export"));
        let mut wizard = resumed(&created()).with_caller(Some(caller()));
        let changes = json!({ "connectionStatus": "PENDING", "format": format, "endpointConfiguration": endpoint });
        wizard.seen(configuration(&changes), Source::Get);
        wizard
    };
    let began = |role_account: &str| began_as(role_account, "NDJSON_GZIP");
    // Security Lake creates the role of its source.
    assert_eq!(began_as("222222222222", "OCSF_PARQUET").next(), Step::ShowPolicies(Detail::Command));
    assert_eq!(began("333333333333").next(), Step::ShowPolicies(Detail::Command));
    let mut declined = began("222222222222");
    answer(&mut declined, &[(Question::Apply, "no")]);
    assert_eq!(declined.next(), Step::ShowPolicies(Detail::Command));
    let mut wizard = began("222222222222");
    assert!(wizard.answer(Question::Apply, "perhaps", now()).is_err());
    answer(&mut wizard, &[(Question::Apply, "yes")]);
    assert_eq!(wizard.next(), Step::Apply);

    // What failed is repeated as a whole, or left to the person.
    wizard.apply_refused();
    answer(&mut wizard, &[(Question::Failed, "")]);
    assert_eq!(wizard.next(), Step::Apply);
    wizard.applied();
    wizard.seen(write_denied(), Source::Tested);
    answer(&mut wizard, &[(Question::Failed, "policies")]);
    assert_eq!(wizard.next(), Step::ShowPolicies(Detail::Everything));
    wizard.policies_shown();
    answer(&mut wizard, &[(Question::Ready, "")]);
    assert_eq!(wizard.next(), Step::Test);
}

#[test]
fn only_what_policies_fix_can_be_too_early() {
    for (code, early) in
        [("ROLE_NOT_ASSUMABLE", true), ("WRITE_DENIED", true), ("BUCKET_NOT_FOUND", false), ("NEW", false)]
    {
        assert_eq!(may_be_early(&failed(code)), early, "{code}");
    }
    assert!(!may_be_early(&pending()) && !may_be_early(&configuration(&json!({}))));
}
