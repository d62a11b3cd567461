"""Words that announce a secret, in some languages, and the mechanisms of AUTH."""

from __future__ import annotations

from ...dissectors.lazy_regex import LazyPattern

__all__ = ["ANNOUNCES", "MECHANISM", "NOUN", "PASSWORD"]

# Names of the IANA registry of SASL mechanisms, and of old servers.
MECHANISM = (
    rb"(?i:PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|SCRAM-[A-Z0-9-]{1,16}|NTLM|MSN|GSSAPI|GSS-SPNEGO|GS2-[A-Z0-9-]{1,16}"
    rb"|XOAUTH2?|OAUTHBEARER|OAUTH10A|EXTERNAL|ANONYMOUS|KERBEROS_V[45]|SKEY|OTP|SECURID|SXOVER-PLUS"
    rb"|EAP-AES128(?:-PLUS)?|OPENID20|SAML20(?:EC)?|ECDSA-[A-Z0-9-]{1,16}|9798-[A-Z0-9-]{1,16}"
    rb"|PASSDSS-[A-Z0-9-]{1,16}|HT-[A-Z0-9-]{1,16}|XYMCOOKIE(?:B64)?)"
)
"""A mechanism of AUTH, as bytes of an expression, in any case."""

PASSWORD = (
    rb"(?i:passw(?:or)?[dt]s?|passwords?|passwort|passphrase|passcode|pass|pwd|pswd|pword|kennwort|clave|senha|mdp"
    rb"|contrase(?:n|\xc3\xb1|\xf1)a|mot[ _-]de[ _-]passe|wachtwoord|heslo|haslo|parola|zugangscode|p(?:w|in)|secret)"
)
"""A word for a password."""

NOUN = rb"(?:" + PASSWORD + rb"|(?i:credentials?|tokens?|(?:api[_-]?|access[_-]?)?key|urlauth|bearer|basic|cookie))"
"""A word for a secret of any kind."""

# Where a line says that it is about a login: the noun stands alone, or is a part of a name like SMTP_PASSWORD.
ANNOUNCES = LazyPattern(
    rb"(?<![A-Za-z])(?:" + NOUN + rb"|" + MECHANISM + rb"|(?i:x?auth(?:enticate|info)?|apop|log[io]n|sign[io]n"
    rb"|authorization|sshpass|userpw|identif(?:y|ied)))(?![A-Za-z])|(?i:auth(?:plain|login))|://[^ \t/]*@"
)
