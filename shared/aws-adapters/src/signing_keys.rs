//! The public halves of the keys that sign digests, and their fingerprints.

use aws_sdk_kms::{Client, types::KeySpec};
use bytes::Bytes;
use domain::digest::Hex32;
use export_engine::ports::PortError;
use futures::{StreamExt, TryStreamExt, stream};
use pem::{EncodeConfig, LineEnding, Pem};
use tokio::sync::OnceCell;

use crate::error::port_error;

/// The most retired keys. Keys are retired by hand, rarely more than one a year.
pub const MAX_RETIRED_SIGNING_KEYS: usize = 16;

/// Concurrent reads, so that all keys are read within three time-outs.
const MAX_PARALLEL_READS: usize = 8;

/// RFC 7468, section 13.
const PEM_LABEL: &str = "PUBLIC KEY";

/// The public half of an ECDSA key on P-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningPublicKey {
    /// SHA-256 of the DER. Digests name their key by it.
    pub fingerprint: Hex32,
    /// DER of its `SubjectPublicKeyInfo` (RFC 5280).
    pub der: Bytes,
}

impl SigningPublicKey {
    fn from_der(der: Vec<u8>) -> Self {
        Self { fingerprint: Hex32::sha256_of(&der), der: der.into() }
    }

    /// Returns the key as `openssl pkey -pubout` writes it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let pem = Pem::new(PEM_LABEL, self.der.as_ref());
        pem::encode_config(&pem, EncodeConfig::new().set_line_ending(LineEnding::LF))
    }
}

/// # Errors
/// Transient; or internal, for example if the key is disabled, deleted, or not of the kind that signs digests.
pub(crate) async fn read_public_key(client: &Client, key_arn: &str) -> Result<SigningPublicKey, PortError> {
    let operation = "kms:GetPublicKey";
    let answer = client.get_public_key().key_id(key_arn).send().await;
    let answer = answer.map_err(|error| port_error(operation, error))?;
    if answer.key_spec != Some(KeySpec::EccNistP256) {
        return Err(PortError::internal(operation, format!("{key_arn} is no key on the curve P-256")));
    }
    let der = answer.public_key.ok_or_else(|| PortError::internal(operation, "KMS gave no key"))?;
    Ok(SigningPublicKey::from_der(der.into_inner()))
}

/// The key that signs digests now, and the retired ones.
#[derive(Debug)]
pub struct SigningKeys {
    client: Client,
    current: KeyReader,
    retired: Vec<KeyReader>,
}

/// A key that is read once: its public half never changes.
#[derive(Debug)]
struct KeyReader {
    arn: String,
    public_key: OnceCell<SigningPublicKey>,
}

impl KeyReader {
    fn new(arn: String) -> Self {
        Self { arn, public_key: OnceCell::new() }
    }

    async fn read(&self, client: &Client) -> Result<&SigningPublicKey, PortError> {
        self.public_key.get_or_try_init(|| read_public_key(client, &self.arn)).await
    }
}

impl SigningKeys {
    /// `retired` has at most [`MAX_RETIRED_SIGNING_KEYS`] ARNs, which the settings check.
    #[must_use]
    pub fn new(client: Client, current: String, retired: Vec<String>) -> Self {
        let retired = retired.into_iter().map(KeyReader::new).collect();
        Self { client, current: KeyReader::new(current), retired }
    }

    /// Returns the current key, then the retired ones in the order of the settings, each once.
    ///
    /// # Errors
    /// Transient or internal, if any key can't be read: without its key, a good digest would look like a forged one.
    pub async fn all(&self) -> Result<Vec<&SigningPublicKey>, PortError> {
        let readers = std::iter::once(&self.current).chain(&self.retired);
        let reads: Vec<_> = readers.map(|reader| reader.read(&self.client)).collect();
        let keys: Vec<&SigningPublicKey> = stream::iter(reads).buffered(MAX_PARALLEL_READS).try_collect().await?;
        let mut once: Vec<&SigningPublicKey> = Vec::with_capacity(keys.len());
        for key in keys {
            if !once.contains(&key) {
                once.push(key);
            }
        }
        Ok(once)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_kms::{
        operation::get_public_key::{GetPublicKeyError, GetPublicKeyOutput},
        primitives::Blob,
        types::error::DisabledException,
    };
    use aws_smithy_mocks::{MockResponse, Rule, RuleMode, mock, mock_client};
    use base64::{Engine, engine::general_purpose::STANDARD};
    use export_engine::ports::{DigestSigner, ErrorKind};

    use super::*;
    use crate::digest_signer::KmsDigestSigner;

    fn answer(der: &str) -> GetPublicKeyOutput {
        GetPublicKeyOutput::builder().key_spec(KeySpec::EccNistP256).public_key(Blob::new(der)).build()
    }

    /// Answers with the ARN as key, except for disabled keys.
    fn kms(disabled: &Arc<Mutex<Vec<&'static str>>>) -> Rule {
        let disabled = Arc::clone(disabled);
        mock!(Client::get_public_key).then_compute_response(move |request| {
            let arn = request.key_id().unwrap();
            if disabled.lock().unwrap().contains(&arn) {
                MockResponse::Error(GetPublicKeyError::DisabledException(DisabledException::builder().build()))
            } else {
                MockResponse::Output(answer(arn))
            }
        })
    }

    fn client(rule: &Rule) -> Client {
        mock_client!(aws_sdk_kms, RuleMode::MatchAny, [rule])
    }

    fn keys(rule: &Rule, retired: &[&str]) -> SigningKeys {
        let retired = retired.iter().map(|arn| (*arn).to_owned()).collect();
        SigningKeys::new(client(rule), "current".to_owned(), retired)
    }

    fn ders(keys: &[&SigningPublicKey]) -> Vec<String> {
        keys.iter().map(|key| String::from_utf8(key.der.to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn each_key_is_read_once_and_listed_once() {
        let rule = kms(&Arc::default());
        let keys = keys(&rule, &["retired-2", "retired-1", "current"]);
        for _ in 0..3 {
            assert_eq!(ders(&keys.all().await.unwrap()), ["current", "retired-2", "retired-1"]);
        }
        assert_eq!(rule.num_calls(), 4);
    }

    #[tokio::test]
    async fn a_list_that_is_not_whole_is_no_list() {
        let disabled = Arc::new(Mutex::new(vec!["retired"]));
        let rule = kms(&disabled);
        let keys = keys(&rule, &["retired"]);
        assert_eq!(keys.all().await.unwrap_err().kind, ErrorKind::Internal);
        disabled.lock().unwrap().clear();
        assert_eq!(ders(&keys.all().await.unwrap()), ["current", "retired"]);
    }

    #[tokio::test]
    async fn as_many_keys_as_may_be_named_are_read() {
        let names: Vec<String> = (0..MAX_RETIRED_SIGNING_KEYS).map(|number| format!("retired-{number}")).collect();
        let rule = kms(&Arc::default());
        let keys = SigningKeys::new(client(&rule), "current".to_owned(), names.clone());
        assert_eq!(ders(&keys.all().await.unwrap())[1..], names);
    }

    #[tokio::test]
    async fn a_key_of_another_kind_is_refused() {
        for other in [
            GetPublicKeyOutput::builder().key_spec(KeySpec::Rsa2048).public_key(Blob::new("rsa")).build(),
            GetPublicKeyOutput::builder().key_spec(KeySpec::EccNistP256).build(),
        ] {
            let rule = mock!(Client::get_public_key).then_output(move || other.clone());
            assert_eq!(keys(&rule, &[]).all().await.unwrap_err().kind, ErrorKind::Internal);
        }
    }

    #[tokio::test]
    async fn the_signer_names_the_key_that_is_listed() {
        let rule = kms(&Arc::default());
        let keys = keys(&rule, &[]);
        let [key] = keys.all().await.unwrap().try_into().unwrap();
        let signer = KmsDigestSigner::new(client(&rule), "current".to_owned());
        assert_eq!(signer.fingerprint().await.unwrap(), key.fingerprint);
    }

    /// A key that OpenSSL made, with its hash by OpenSSL: `openssl pkey -pubin -outform DER | sha256sum`.
    #[test]
    fn keys_are_written_and_named_as_openssl_does() {
        let pem = include_str!("signing_keys/public_key.pem");
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let key = SigningPublicKey::from_der(STANDARD.decode(base64).unwrap());
        assert_eq!(key.to_pem(), pem);
        assert_eq!(key.fingerprint.to_string(), "32610444f07d525a1e22dbaa1569739888bb99399feb28cc0976988d28c5f8e2");
    }
}
