"""Words that occur in the replies of servers, and prompts: text that can be shown whatever the client sent."""

from __future__ import annotations

from base64 import b64encode

__all__ = ["PROMPTS", "REPLY_WORDS"]

PROMPTS = frozenset(
    map(
        b64encode,
        (
            *(b"Username:", b"Password:", b"Username", b"Password", b"username:", b"password:"),
            *(b"User Name\0", b"Password\0"),
        ),
    )
)
"""Challenges of AUTH LOGIN, which hold no secret."""

REPLY_WORDS = frozenset(
    b"""
    a able about accept accepted access account active actively actual add additional address addresses
    administrative administrator after again aliases all allow allowed allows already also an and another any
    anymore application argument arguments as ascii at atrn attempt attempts auth authenticate authenticated
    authenticating authentication authorization authorized available away back bad banned bare base64 basic bdat be
    because become been before begin being between blocked body both broken burl but by bye can cancel canceled
    cancelled cannot cc certificate challenge change changed channel check class clear client close closed closes
    closing code codes com command commands complete completed configuration configured connect connected connection
    connections contact contain contains content continue could count cram-md5 credentials current currently daemon
    data database date deactivated decode default deferred delivery denied deprecated details did different digest
    digest-md5 directory disabled disconnect disconnected does domain done down due during each edu ehlo either
    email empty enable enabled encode encoded encoding encrypt encrypted encryption end enough enter error errors
    esmtp etrn exceed exceeded exist existing exists expected expired expn external fail failed fails failure fatal
    few field first for forbidden forgot format found from full further gateway get given go goodbye gsmtp gssapi
    had handle has have hello helo help helpdesk host hostname http https id identification identity idle if ignored
    illegal implemented impossible in inactive incomplete incorrect information initial initialization input
    insufficient internal into invalid is issue it its key kind last later leading learn least length less lhlo
    limit limited line lines local location lock locked log logged logging login logins logon long longer look
    lookup mail mailbox mailer maximum may mechanism mechanisms message message-id messages method minute minutes
    missing mode more most moved much multiple must name need needed needs net network never new next nice no none
    nonexistent noop not nothing now ntlm null number oauthbearer occurred of off ok okay old on once one only open
    operation option options or order org other our out over own parameter parameters parse part pass password
    passwords period permanent permanently permission permitted plain please point policy port possible previous
    problem problems procedure process processed processing protected protocol provided queue quit rate rcpt reached
    read ready reason receive received recipient refer refused register registered rejected relay relaying remote
    repeat reply request requested required requires reset resource resources response restart restricted result
    retry return rset run same sasl scram-sha-1 scram-sha-256 second seconds secure security see seems send sender
    sending sent sequence server servers service services session set should signed since site size smtp so some
    something spam specified ssl start started starttls state status step still stop string subject submission
    submit succeeded success successful successfully such support supported suspended syntax system take takes
    temporarily temporary terminated terminating text than that the their them then there these they this through
    time timed timeout times tls to token too transaction transfer transport try turn twice type unable
    unauthenticated unauthorized unavailable undefined unencrypted unexpected unimplemented unknown unrecognised
    unrecognized unsuccessful unsupported until up upgrade url use used user userdb username usernames users using
    valid value verification verified verify version via visit vrfy wait waiting want was web what when where which
    while who will with within without word words work wrong x xoauth2 yes yet you your
    """.split()
)
"""In lower case. About logins, commands, connections and mail; no name is among them."""
