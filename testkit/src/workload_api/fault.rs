//! What can be wrong with a Workload API: one thing at a time.

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// One thing that a server does wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name,)+ }

        impl Fault {
            /// Every fault.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
        }
    };
}

faults! {
    // SPIFFE IDs: names of trust domains are those of a federated bundle, paths those of a second X.509-SVID
    IdOfOtherScheme,
    IdWithQuery,
    IdWithPort,
    IdInUpperCase,
    IdWithStrangeDomain,
    IdWithEncodedDomain,
    IdTooLong,
    IdWithEncodedPath,
    IdWithDotSegment,
    IdWithTrailingSlash,
    IdWithStrangePath,
    /// `/Workload` is taken for `/workload`.
    IdsWithoutCase,

    // X.509-SVIDs
    TwoUriNames,
    NoUriName,
    LeafWithoutPath,
    NamesNotCritical,
    AuthorityWithPath,
    AuthorityWithoutCertSign,
    LeafIsAuthority,
    AuthorityIsNone,
    LeafWithoutKeyUsage,
    KeyUsageNotCritical,
    LeafSignsCertificates,
    LeafWithoutDigitalSignature,
    OnlyServerAuth,
    OnlyClientAuth,
    ExpiredLeaf,
    LeafOfStranger,

    // JWT-SVIDs as they are given out
    JsonToken,
    ExtraHeader,
    EdDsaToken,
    OtherType,
    OtherSubject,
    NoAudience,
    NoExpiry,
    ExpiredToken,
    NoKeyId,
    UnknownKeyId,
    SignedByOther,

    // what ValidateJWTSVID accepts
    JsonAccepted,
    EmbeddedKeyBelieved,
    AlgNoneAccepted,
    HmacAccepted,
    AudienceIgnored,
    ExpiredAccepted,
    ExpiryOptional,
    AudienceOptional,
    X509KeyVerifies,
    SignatureIgnored,
    DomainIgnored,
    GoodTokenRefused,
    OtherIdValidated,
    ClaimsMissing,

    // the endpoint
    Silent,
    HeaderOptional,
    HeaderOfAnyCase,
    HeaderOptionalOnStreams,
    HeaderOptionalOnValidation,
    HeaderRefusedOtherwise,
    CredentialsAsked,
    UnknownRpcRefusedOtherwise,

    // the Workload API
    JwtProfileMissing,
    FirstMessageLate,
    PartialState,
    AudienceNotMandatory,
    DefaultsRefusedOtherwise,
    NoSvids,
    PemInsteadOfDer,
    LeafLast,
    OtherKey,
    KeyInPem,
    EmptyBundle,
    BundleInPem,
    CertificateOfOtherId,
    FederatedByName,
    HintTwice,
    HintTooLong,
    StrangerRefusedOtherwise,
    BundlesWithoutOwn,
    BundlesByName,
    BundlesInPem,
    SecondAudienceDropped,
    AnyIdGiven,
    ForeignIdRefusedOtherwise,
    X509KeysInJwtBundles,
    WitKeysInJwtBundles,
    X509KeyWithoutUse,
    PrivateKeyInJwtBundles,
    JwtBundlesWithoutOwn,
    JwtKeyWithoutId,
    BundlesPooled,

    // WIT-SVIDs
    HalfOfWit,
    WitWithoutKeyId,
    WitOfOtherType,
    WitOfOtherAlgorithm,
    WitOfOtherSubject,
    WitWithoutConfirmation,
    ExpiredWit,
    WitWithAudience,
    WitKeyWithoutId,
    WitKeyIdOfJwtKey,

    // the bundle endpoint
    TwoCertificatesInEntry,
    X509EntryWithKeyId,
    PublishedKeyWithoutId,
    SequenceInText,
    NegativeRefreshHint,
    NoKeysMember,
    EntryWithoutUse,
    UseInUpperCase,
    BrokenMap,
    EndpointAsksWhoIsThere,
    EndpointNotFound,
    DocumentNotUtf8,

    // no faults, though unusual
    PlainRoot,
    SharedRoot,
    ForeignDomainWithoutX509,
    WitServed,

    // no faults, and yet nothing to look at
    NobodyRegistered,
    NotReady,
}
