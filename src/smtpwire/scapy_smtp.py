"""``scapy.layers.smtp`` once ``conf.exts.load("smtpwire")`` has been called: the layers, bound to their ports."""

# Scapy loads this file under a name of its own, so that imports cannot be relative here.

from smtpwire.dissectors import SMTP, SMTPAuth, SMTPCommand, SMTPMessage, SMTPReply, bind

__all__ = ["SMTP", "SMTPAuth", "SMTPCommand", "SMTPMessage", "SMTPReply"]

bind()
